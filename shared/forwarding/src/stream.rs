//! Delivery over a stream to a receiver that never answers.

use std::io;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Sends all of it over a connection of its own, and ends that; it has arrived when the receiver has read to our end and
/// then ended its side in good order. One that dies with octets that it has not read resets the connection instead.
pub(crate) async fn deliver(
    host: &str,
    port: u16,
    tls: Option<Arc<ClientConfig>>,
    octets: &[u8],
) -> io::Result<()> {
    let stream = TcpStream::connect((host, port)).await?;
    let Some(config) = tls else {
        return send_all(stream, octets).await;
    };
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let stream = TlsConnector::from(config).connect(name, stream).await?;
    send_all(stream, octets).await
}

async fn send_all<S>(mut stream: S, octets: &[u8]) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.write_all(octets).await?;
    stream.shutdown().await?;
    let mut said = [0; 256];
    // What it says, if it does, means nothing in syslog; its end does.
    while stream.read(&mut said).await? > 0 {}
    Ok(())
}
