//! A lab that stays after its process: its name, and commands to try in it.

use std::fmt;
use std::path::Path;

use crate::lab::Lab;
use crate::switch::TO_CORE;
use crate::tools;

/// A lab that was kept.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Its name, for [`crate::remove`].
    pub name: String,
    /// Commands to try, each with a description.
    pub commands: Vec<(String, String)>,
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (command, what) in &self.commands {
            writeln!(f, "# {what}\n{command}")?;
        }
        Ok(())
    }
}

impl Kept {
    /// The commands for a lab. `script` removes it.
    pub(crate) fn of(lab: &Lab, script: &Path) -> Kept {
        let name = lab.name().to_owned();
        let mut commands = Vec::new();
        let mut add = |command: String, what: &str| commands.push((command, what.to_owned()));
        if let Some(host) = lab.hosts().iter().find(|host| host.vlan().is_some()) {
            let namespace = host.namespace();
            add(
                format!("ip netns exec {namespace} bash"),
                "a shell on a device",
            );
        }
        add(
            format!(
                "ip netns exec {} tcpdump -eni {TO_CORE}",
                lab.switch().namespace()
            ),
            "frames between the gateway and the core, with their VLAN tags",
        );
        if let Ok(cordon) = lab.gateway().cordon_command() {
            let cordon = tools::line(&cordon);
            add(format!("{cordon} status"), "the gateway's state");
            add(
                format!("{cordon} quarantine site --posture contain --reason drill"),
                "cut the site off from the wider network",
            );
            add(
                format!("{cordon} release site --reason 'drill is over'"),
                "release the site",
            );
        }
        add(format!("ls /run/netns | grep ^{name}-"), "its namespaces");
        add(format!("sh {}", script.display()), "remove the lab");
        Kept { name, commands }
    }
}
