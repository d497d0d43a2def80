#![doc = include_str!("../README.md")]

mod bridge;
mod direct;
mod error;
mod flows;
mod gateway;
mod lab;
mod losses;
mod node;
mod packet;
mod ping;
mod plan;
mod probe;
mod process;
mod registry;
mod ring;
mod seen;
mod switch;
mod tap;
mod tools;
mod wiring;

pub use bridge::Bridge;
pub use cordon_policy::Mac;
pub use direct::{Direct, End};
pub use error::{Error, Result};
pub use flows::{Flow, Flows, Report, Running};
pub use gateway::Gateway;
pub use lab::{Kept, Lab, Wire};
pub use losses::Losses;
pub use node::{Host, Node};
pub use plan::{Device, Plan, Remote, Vlan};
pub use probe::Probe;
pub use process::{Output, Process};
pub use registry::{kept, remove, sweep};
pub use seen::{ARP, Direction, Seen, TCP, UDP, missing, now};
pub use tap::Tap;
