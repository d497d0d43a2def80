//! `cordon devices`.

use clap::Args;
use cordon_protocol::{Device, DeviceState};

use crate::app::App;
use crate::error::{Error, Exit};
use crate::render::{Cell, Style, Table};
use crate::text::{count, number};

/// List the devices of the policy, and whether they were seen
#[derive(Args)]
pub struct Devices {
    /// Only devices that were not seen since the data plane was loaded.
    #[arg(long)]
    unseen: bool,
}

impl Devices {
    /// Runs the command.
    pub fn run(self, app: &mut App) -> Result<Exit, Error> {
        let answer = app.gateway.get("/v1/devices")?;
        let devices: Vec<Device> = answer.read()?;
        let wanted = |device: &Device| !self.unseen || device.state == DeviceState::Unseen;
        if app.json {
            let mut list: Vec<serde_json::Value> = answer.read()?;
            let mut keep = devices.iter().map(wanted);
            list.retain(|_| keep.next().unwrap_or(true));
            app.out.json(&list.into())?;
            return Ok(Exit::Success);
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
        // Without an observed segment the column would be empty.
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
                Cell::styled(Style::Strong, &device.name),
                match device.state {
                    DeviceState::Seen => Cell::styled(Style::Good, "seen"),
                    DeviceState::Unseen => Cell::styled(Style::Warn, "unseen"),
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
                    Some(flows) => Cell::styled(Style::Warn, count(flows as usize, "flow")),
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
                "enforcement would drop flows of devices in observed segments: cordon flows --would-drop",
            )?;
        }
        Ok(Exit::Success)
    }
}

/// Fails if no device has the name: filtering by it would show an empty list, which looks like good news.
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

/// The error for an unknown name, with the most similar known name.
pub fn unknown<'a>(
    what: &'static str,
    name: &str,
    known: impl Iterator<Item = &'a str>,
    hint_without: &str,
) -> Error {
    let near = nearest(name, known).map(|near| format!("did you mean `{near}`?"));
    let hint = near.unwrap_or_else(|| hint_without.to_owned());
    Error::Unknown {
        what,
        name: name.to_owned(),
        hint,
    }
}

/// The name that is most similar to a word, if one is similar at all.
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
