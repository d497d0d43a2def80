//! `cordon devices`.

use clap::Args;
use cordon_protocol::{Device, DeviceState};

use crate::App;
use crate::error::{Error, Exit};
use crate::render::{Cell, Ink, Table, count, number};

/// The devices that the policy lists, and whether they were seen
#[derive(Args)]
pub struct Devices {
    /// Only those that were not seen since the data plane was loaded.
    #[arg(long)]
    unseen: bool,
}

impl Devices {
    /// Does it.
    pub fn run(self, app: &mut App) -> Result<Exit, Error> {
        let answer = app.gateway.get("/v1/devices")?;
        let devices: Vec<Device> = answer.read()?;
        let wanted = |device: &Device| !self.unseen || device.state == DeviceState::Unseen;
        if app.json {
            let mut list: Vec<serde_json::Value> = answer.read()?;
            let mut keep = devices.iter().map(wanted);
            list.retain(|_| keep.next().unwrap_or(true));
            app.out.json(&list.into())?;
            return Ok(Exit::Good);
        }
        let mut headings = vec![
            "NAME",
            "STATE",
            "SEGMENT",
            "MAC",
            "ADDRESSES",
            "PROFILE",
            "FUNCTION",
            "CRITICALITY",
            "SEEN AT",
        ];
        // A column that is empty for nearly everybody is only in the way.
        let observed = devices
            .iter()
            .any(|device| device.would_drop_flows.is_some());
        if observed {
            headings.push(">WOULD BE DROPPED");
        }
        let mut table = Table::new(&headings);
        for device in devices.iter().filter(|device| wanted(device)) {
            let addresses = match device.ips.as_slice() {
                [] => "any of the segment".to_owned(),
                ips => ips.join(" "),
            };
            let mut cells = vec![
                Cell::ink(Ink::Strong, &device.name),
                match device.state {
                    DeviceState::Seen => Cell::ink(Ink::Good, "seen"),
                    DeviceState::Unseen => Cell::ink(Ink::Warn, "unseen"),
                },
                Cell::from(device.segment.as_str()),
                Cell::from(device.mac.as_str()),
                Cell::from(addresses),
                Cell::optional(device.profile.as_deref()),
                Cell::optional(device.function.as_deref()),
                Cell::optional(device.criticality.as_deref()),
                Cell::optional(device.attachment.as_deref()),
            ];
            if observed {
                cells.push(match device.would_drop_flows {
                    None => Cell::from("-"),
                    Some(0) => Cell::from("0"),
                    Some(flows) => Cell::ink(Ink::Warn, count(flows as usize, "flow")),
                });
            }
            table.cells(cells);
        }
        if !table.is_empty() {
            app.out.table(&table)?;
            app.out.line("")?;
        }
        let unseen = devices
            .iter()
            .filter(|device| device.state == DeviceState::Unseen)
            .count();
        app.out.line(format_args!(
            "{} in the policy: {} seen, {} unseen",
            count(devices.len(), "device"),
            number((devices.len() - unseen) as u64),
            number(unseen as u64)
        ))?;
        if devices
            .iter()
            .any(|device| device.would_drop_flows > Some(0))
        {
            app.out.line(
                "some are in observed segments, and would be kept from what they do: cordon flows --would-drop",
            )?;
        }
        Ok(Exit::Good)
    }
}

/// Errs where no device has the name: a filter for nobody would show nothing, and look like good news.
pub fn must_exist(app: &App, name: &str) -> Result<(), Error> {
    let devices: Vec<Device> = app.gateway.get("/v1/devices")?.read()?;
    match devices.iter().any(|device| device.name == name) {
        true => Ok(()),
        false => Err(unknown(
            "device",
            name,
            devices.iter().map(|device| device.name.as_str()),
            "`cordon devices` lists them",
        )),
    }
}

/// A name that nothing has, with the one that was perhaps meant.
pub fn unknown<'a>(
    what: &'static str,
    name: &str,
    known: impl Iterator<Item = &'a str>,
    else_hint: &str,
) -> Error {
    let near = nearest(name, known).map(|near| format!("did you mean `{near}`?"));
    let hint = near.unwrap_or_else(|| else_hint.to_owned());
    Error::Unknown {
        what,
        name: name.to_owned(),
        hint,
    }
}

/// The name that is like a word, if one is.
fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let distance = |name: &'a str| {
        (
            strsim::damerau_levenshtein(&word, &name.to_lowercase()),
            name,
        )
    };
    let near = known.map(distance).min()?;
    (near.0 <= 1 + word.chars().count() / 4).then_some(near.1)
}
