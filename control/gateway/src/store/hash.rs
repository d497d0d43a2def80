//! The hash that identifies a policy.

use cordon_protocol::Sources;
use serde::Serialize;
use sha2::{Digest, Sha256};

/// A value as JSON.
pub fn json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("own types with string keys serialise")
}

/// SHA-256 of the sources, hexadecimal.
pub fn hash_of(sources: &Sources) -> String {
    let digest = Sha256::digest(json(sources));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
