//! The content of `observed.json`.

use serde::{Deserialize, Serialize};

use super::conversation::{Conversation, Record};

/// The version of the layout.
const VERSION: u32 = 1;

/// The file. The aliases are field names that earlier daemons wrote.
#[derive(Serialize, Deserialize)]
pub struct File {
    version: u32,
    /// Flows that the ledger had no room for.
    #[serde(alias = "unnoted")]
    pub unrecorded: u64,
    /// The conversations, unordered.
    #[serde(alias = "talks")]
    pub conversations: Vec<(Conversation, Record)>,
}

impl File {
    /// The content to write.
    pub fn new(unrecorded: u64, conversations: Vec<(Conversation, Record)>) -> File {
        File {
            version: VERSION,
            unrecorded,
            conversations,
        }
    }

    /// Parses a file; none if it is damaged or has another version.
    pub fn parse(text: &[u8]) -> Option<File> {
        let file: File = serde_json::from_slice(text).ok()?;
        (file.version == VERSION).then_some(file)
    }
}
