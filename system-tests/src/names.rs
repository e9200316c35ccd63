//! Names that no other test uses.

use std::sync::atomic::{AtomicU32, Ordering};

/// A DNS name that nothing else in this run uses, with the topic in it.
pub fn fresh_name(topic: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("n{number}.{topic}.test")
}
