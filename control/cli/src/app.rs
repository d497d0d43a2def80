//! What every command works with.

use crate::client::Client;
use crate::render::Out;

/// The gateway, and the two streams of output.
pub struct App {
    /// The gateway.
    pub gateway: Client,
    /// Standard output: the answer.
    pub out: Out,
    /// Standard error: warnings, errors and questions.
    pub err: Out,
    /// Whether to print the API's JSON.
    pub json: bool,
}
