//! What is refused, and how: each with a status, a problem type and a sentence that helps the person at the client.

mod csr;
mod jws;
mod nonces;
mod resources;
