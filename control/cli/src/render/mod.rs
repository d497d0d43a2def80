//! What output looks like: on a terminal, in a file, for programs.

mod out;
mod posture;
mod problem;
mod style;
mod table;
mod time;

pub use out::Out;
pub use posture::{posture, posture_help};
pub use problem::{Severity, Sources, problems};
pub use style::{Style, TermCaps};
pub use table::{Cell, Table};
pub use time::{Clock, time_of_day};
