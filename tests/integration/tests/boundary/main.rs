//! The boundary holds: attacks that once carried bytes across the uplink, or took a limit that others needed. Each is
//! sent through the real daemon and its packet programs, and every frame on the wires is accounted for.

mod floods;
mod frames;
mod inside;
mod link_local;
mod membership;
mod neighbours;
mod resolution;
mod site;
