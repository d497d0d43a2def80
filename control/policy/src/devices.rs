//! `devices.csv`: the inventory.

use std::collections::HashMap;
use std::net::IpAddr;

use csv::{ReaderBuilder, StringRecord};

use crate::addresses;
use crate::attachments;
use crate::columns::{self, Columns};
use crate::cursor::Cursor;
use crate::fields;
use crate::model::{Attachment, Binding, Device, Mac, Port, Segment};
use crate::problem::{Code, File, Problems, SourcePosition};
use crate::site::Site;
use crate::yaml;

/// Limit of devices of a gateway.
const MAX_DEVICES: usize = 131_072;
/// The MAC address that the gateway answers with for a segment with a proxy.
pub const GATEWAY_MAC: Mac = Mac(*b"\x02CORDN");

/// Reads the inventory. Rows with an error are left out.
pub(crate) fn read(text: &str, site: &Site, problems: &mut Problems) -> Vec<Device> {
    if yaml::is_too_long(File::Devices, text, problems) {
        return Vec::new();
    }
    let segments = &site.segments;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .comment(Some(b'#'))
        .from_reader(text.as_bytes());
    let mut records = reader.records();
    let mut table = Table {
        ports: &site.ports,
        segments,
        incomplete: &site.incomplete,
        by_name: HashMap::new(),
        by_mac: HashMap::new(),
        by_ip: HashMap::new(),
        devices: Vec::new(),
    };
    let names: HashMap<&str, usize> = segments
        .iter()
        .enumerate()
        .map(|(index, segment)| (segment.name.as_str(), index))
        .collect();
    let mut cursor = Cursor::new(text);
    let Some(columns) = records
        .next()
        .and_then(|header| Columns::read(header, cursor, problems))
    else {
        if text.trim().is_empty() {
            let position = SourcePosition::start_of(File::Devices);
            problems
                .add(position, Code::MissingField, "the file has no header row")
                .hint(columns::first_line());
        }
        return Vec::new();
    };
    for record in records {
        match record {
            Err(error) => {
                let line = error
                    .position()
                    .map_or(1, |position| position.line() as u32);
                let position = SourcePosition {
                    file: File::Devices,
                    line,
                    column: 1,
                };
                problems
                    .add(position, Code::Syntax, format!("not valid CSV: {error}"))
                    .hint("look for an unclosed quote");
            }
            Ok(record) => {
                cursor.row(record.position().map_or(0, start_of));
                table.add(
                    &Row {
                        record: &record,
                        columns: &columns,
                        cursor,
                        line: cursor.position().line,
                    },
                    &names,
                    problems,
                );
                if table.devices.len() > MAX_DEVICES {
                    problems.add(
                        cursor.position(),
                        Code::Limit,
                        format!("a gateway has at most {MAX_DEVICES} devices"),
                    );
                    return table.devices;
                }
            }
        }
    }
    table.devices
}

fn start_of(position: &csv::Position) -> usize {
    usize::try_from(position.byte()).unwrap_or(usize::MAX)
}

struct Row<'a> {
    record: &'a StringRecord,
    columns: &'a Columns,
    /// At its start.
    cursor: Cursor<'a>,
    line: u32,
}

impl<'a> Row<'a> {
    fn position(&self, column: &str) -> SourcePosition {
        let mut cursor = self.cursor;
        cursor.field(self.columns.index(column).unwrap_or(0));
        cursor.position()
    }

    fn get(&self, column: &str) -> Option<&'a str> {
        self.record
            .get(self.columns.index(column)?)
            .map(str::trim)
            .filter(|text| !text.is_empty())
    }

    fn required(&self, column: &str, problems: &mut Problems) -> Option<&'a str> {
        let found = self.get(column);
        if found.is_none() {
            problems.add(
                self.position(column),
                Code::MissingField,
                format!("a device needs `{column}`"),
            );
        }
        found
    }
}

struct Table<'a> {
    ports: &'a [Port],
    segments: &'a [Segment],
    incomplete: &'a [usize],
    by_name: HashMap<String, u32>,
    by_mac: HashMap<(usize, Mac), u32>,
    by_ip: HashMap<IpAddr, u32>,
    devices: Vec<Device>,
}

impl Table<'_> {
    fn add(&mut self, row: &Row, names: &HashMap<&str, usize>, problems: &mut Problems) {
        // Spreadsheets write empty rows after the last one.
        if row.record.iter().all(|field| field.trim().is_empty()) {
            return;
        }
        if row.record.len() > row.columns.count {
            problems
                .add(
                    row.position("name"),
                    Code::Syntax,
                    "the line has more fields than the header",
                )
                .hint("separate several addresses by spaces: `10.21.0.11 10.21.0.12`");
            return;
        }
        let name = row
            .required("name", problems)
            .and_then(|text| fields::name(text, row.position("name"), "a device", problems));
        let mac = row
            .required("mac", problems)
            .and_then(|text| self.mac(text, row, problems));
        let segment = row.required("segment", problems).and_then(|text| {
            let found = names.get(text).copied();
            if found.is_none() {
                fields::unknown(
                    problems,
                    row.position("segment"),
                    "segment",
                    text,
                    names.keys().copied(),
                );
            }
            found
        });
        let ips = self.ips(row, segment, problems);
        if let Some(name) = &name
            && let Some(line) = self.by_name.insert(name.clone(), row.line)
        {
            problems
                .add(
                    row.position("name"),
                    Code::Duplicate,
                    format!("device `{name}` is listed twice"),
                )
                .hint(format!("the first is in line {line}"));
            return;
        }
        if let (Some(segment), Some(mac)) = (segment, mac)
            && let Some(line) = self.by_mac.insert((segment, mac), row.line)
        {
            problems
                .add(
                    row.position("mac"),
                    Code::Duplicate,
                    format!(
                        "{mac} is already listed in segment `{}`",
                        self.segments[segment].name
                    ),
                )
                .hint(format!(
                    "line {line} lists it: give that device both IP addresses, or correct the MAC address"
                ));
            return;
        }
        let binding = match row.get("port") {
            None => Some(None),
            Some(text) => self.binding(text, segment, row, problems).map(Some),
        };
        let text = |column| row.get(column).map(str::to_owned);
        if let (Some(name), Some(mac), Some(segment), Some(ips), Some(binding)) =
            (name, mac, segment, ips, binding)
        {
            self.devices.push(Device {
                name,
                mac,
                ips,
                segment,
                binding,
                profile: text("profile"),
                function: text("function"),
                criticality: text("criticality"),
                position: SourcePosition {
                    file: File::Devices,
                    line: row.line,
                    column: 1,
                },
            });
        }
    }

    /// Reads `port`: a port that the segment of the device is attached to, or one of its attachments there.
    fn binding(
        &self,
        text: &str,
        segment: Option<usize>,
        row: &Row,
        problems: &mut Problems,
    ) -> Option<Binding> {
        let position = row.position("port");
        let at = attachments::parse(text, position, self.ports, problems)?;
        let segment = &self.segments[segment?];
        // A port without a VLAN means untagged frames, as in `attach`; or any VLAN, if the segment has no untagged attachment
        // there.
        let binding = match text.contains('.') || segment.attachments.contains(&at) {
            true => Binding::Attachment(at),
            false => Binding::Port(at.port),
        };
        let port = &self.ports[at.port];
        let of_port = segment.attachments.iter().filter(|one| one.port == at.port);
        let of_port: Vec<&Attachment> = of_port.filter(|_| !port.uplink).collect();
        if of_port.is_empty() {
            problems
                .add(
                    position,
                    Code::Conflict,
                    format!(
                        "a device of segment `{}` cannot be at port `{}`",
                        segment.name, port.name
                    ),
                )
                .hint("name a port that the segment is attached to and that is not an uplink");
            return None;
        }
        if !of_port.iter().any(|one| binding.allows(**one)) {
            let here: Vec<String> = of_port.iter().map(|one| one.name_at(&port.name)).collect();
            problems
                .add(
                    position,
                    Code::Conflict,
                    format!("segment `{}` is not attached at `{text}`", segment.name),
                )
                .hint(format!(
                    "its attachments at port `{}`: {}",
                    port.name,
                    few(&here)
                ));
            return None;
        }
        Some(binding)
    }

    fn mac(&self, text: &str, row: &Row, problems: &mut Problems) -> Option<Mac> {
        let Ok(mac) = text.parse::<Mac>() else {
            problems
                .add(
                    row.position("mac"),
                    Code::BadValue,
                    format!("`{text}` is not a MAC address"),
                )
                .hint("write six pairs of hexadecimal digits: `02:00:5e:10:00:01`");
            return None;
        };
        if mac.0[0] & 1 != 0 || mac.0 == [0; 6] {
            problems.add(
                row.position("mac"),
                Code::BadValue,
                format!("{mac} is a group address or zero: a device needs a unicast address"),
            );
            return None;
        }
        if mac == GATEWAY_MAC {
            problems
                .add(
                    row.position("mac"),
                    Code::Conflict,
                    format!("{mac} is the MAC address of the gateway itself"),
                )
                .hint("the gateway answers with it in segments with `proxy: true`: give the device another");
            return None;
        }
        Some(mac)
    }

    fn ips(
        &mut self,
        row: &Row,
        segment: Option<usize>,
        problems: &mut Problems,
    ) -> Option<Vec<IpAddr>> {
        let mut ips = Vec::new();
        let mut good = true;
        let words = row
            .get("ips")
            .unwrap_or_default()
            .split([' ', ';'])
            .filter(|word| !word.is_empty());
        for word in words {
            let Ok(ip) = word.parse::<IpAddr>() else {
                good = false;
                problems
                    .add(
                        row.position("ips"),
                        Code::BadValue,
                        format!("`{word}` is not an IP address"),
                    )
                    .hint(addresses::hint(word));
                continue;
            };
            if let Some(why) = segment
                .filter(|segment| !self.incomplete.contains(segment))
                .and_then(|segment| addresses::unfit(ip, &self.segments[segment]))
            {
                good = false;
                let problem = problems.add(
                    row.position("ips"),
                    Code::Conflict,
                    format!("{ip} {}", why.0),
                );
                problem.hint(why.1);
                continue;
            }
            match self.by_ip.insert(ip, row.line) {
                Some(line) => {
                    good = false;
                    problems.add(
                        row.position("ips"),
                        Code::Duplicate,
                        format!("{ip} is already bound to the device in line {line}"),
                    );
                }
                None => ips.push(ip),
            }
        }
        good.then_some(ips)
    }
}

/// The first five of a list, and how many more there are.
fn few(all: &[String]) -> String {
    const FEW: usize = 5;
    let first = all[..all.len().min(FEW)].join(", ");
    match all.len().saturating_sub(FEW) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}
