//! A question and its answer, over TCP.

use std::net::SocketAddr;

use certfleet_domain::TsigAlgorithm;
use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::rdata::tsig::TsigAlgorithm as WireAlgorithm;
use hickory_proto::rr::{RData, RecordType, TSigner};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::update::name;
use crate::{ANSWERS_WITHIN, UpdateError, Zone};

/// How far clocks may be apart, in seconds (RFC 8945 §5.2.3).
const FUDGE: u16 = 300;

/// Has the zone's server carry out an update.
pub(crate) async fn update(zone: &Zone, mut update: Message, now: u64) -> Result<(), UpdateError> {
    let wrong = |error: &dyn std::fmt::Display| UpdateError::Wrong(error.to_string());
    let algorithm = match zone.key.algorithm {
        TsigAlgorithm::HmacSha256 => WireAlgorithm::HmacSha256,
        TsigAlgorithm::HmacSha384 => WireAlgorithm::HmacSha384,
        TsigAlgorithm::HmacSha512 => WireAlgorithm::HmacSha512,
    };
    let secret = zone.key.secret.to_vec();
    let signer = TSigner::new(secret, algorithm, name(&zone.key.name)?, FUDGE);
    let signer = signer.map_err(|error| wrong(&error))?;
    let verifier = update
        .finalize(&signer, now)
        .map_err(|error| wrong(&error))?;
    let mut verifier = verifier.ok_or_else(|| wrong(&"an update that is not signed"))?;
    let question = update.to_vec().map_err(|error| wrong(&error))?;
    let answer = exchange(zone.server, &question).await?;
    let away = |why: String| UpdateError::Away {
        server: zone.server,
        why,
    };
    let code = Message::from_vec(&answer)
        .map_err(|error| away(error.to_string()))?
        .metadata
        .response_code;
    // A server that does not know the key says so without one (RFC 8945 §5.3.2).
    if code != ResponseCode::NoError {
        return Err(refused(zone.server, code));
    }
    let checked = verifier.verify(&answer);
    checked.map_err(|error| away(format!("its answer is not signed as it should be: {error}")))?;
    Ok(())
}

/// The texts under a name.
pub(crate) async fn texts(server: SocketAddr, owner: &str) -> Result<Vec<String>, UpdateError> {
    let mut question = Message::query();
    question.metadata.recursion_desired = false;
    question.add_query(Query::query(name(owner)?, RecordType::TXT));
    let question = question
        .to_vec()
        .map_err(|error| UpdateError::Wrong(error.to_string()))?;
    let answer = exchange(server, &question).await?;
    let answer = Message::from_vec(&answer).map_err(|error| UpdateError::Away {
        server,
        why: error.to_string(),
    })?;
    match answer.metadata.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain => {}
        code => return Err(refused(server, code)),
    }
    let texts = answer
        .answers
        .iter()
        .filter_map(|record| match &record.data {
            RData::TXT(data) => {
                let octets: Vec<u8> = data.txt_data.iter().flatten().copied().collect();
                String::from_utf8(octets).ok()
            }
            _ => None,
        });
    Ok(texts.collect())
}

fn refused(server: SocketAddr, code: ResponseCode) -> UpdateError {
    UpdateError::Refused {
        server,
        code: code.to_string(),
    }
}

async fn exchange(server: SocketAddr, question: &[u8]) -> Result<Vec<u8>, UpdateError> {
    let away = |why: String| UpdateError::Away { server, why };
    let length = u16::try_from(question.len());
    let length = length
        .map_err(|_| UpdateError::Wrong("an update of more than 65,535 octets".to_owned()))?;
    let asking = async {
        let mut stream = TcpStream::connect(server).await?;
        // Length before message (RFC 1035 §4.2.2).
        let mut whole = length.to_be_bytes().to_vec();
        whole.extend_from_slice(question);
        stream.write_all(&whole).await?;
        let length = stream.read_u16().await?;
        let mut answer = vec![0; length.into()];
        stream.read_exact(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    match timeout(ANSWERS_WITHIN, asking).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(away(error.to_string())),
        Err(_) => Err(away(format!("no answer within {ANSWERS_WITHIN:?}"))),
    }
}
