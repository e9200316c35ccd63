//! Whether a service is ready: its management address says so.

use std::net::SocketAddr;
use std::time::Duration;

use http::{Request, StatusCode, header};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

/// Between two questions: a service does not say when it gets ready.
const PAUSE: Duration = Duration::from_millis(50);

/// One question's limit.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Waits until `GET /readyz` answers 200. The error is what the last question got, after `within`.
pub async fn wait_until_ready(management: SocketAddr, within: Duration) -> Result<(), String> {
    let deadline = Instant::now() + within;
    loop {
        let answer = match timeout(ANSWER_WITHIN, readyz(management)).await {
            Ok(Ok(StatusCode::OK)) => return Ok(()),
            Ok(Ok(status)) => format!("{management}/readyz says {status}"),
            Ok(Err(error)) => format!("{management}: {error}"),
            Err(_) => format!("{management}/readyz does not answer"),
        };
        if Instant::now() >= deadline {
            return Err(answer);
        }
        sleep(PAUSE).await;
    }
}

async fn readyz(
    management: SocketAddr,
) -> Result<StatusCode, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(management).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get("/readyz")
        .header(header::HOST, management.to_string())
        .header(header::CONNECTION, "close")
        .body(String::new())?;
    let answer = async move {
        sender
            .send_request(request)
            .await
            .map(|answer| answer.status())
    };
    // The connection ends with the answer, and its error is the answer's.
    let (status, _) = futures_util::future::join(answer, connection).await;
    Ok(status?)
}
