//! Manchester Memorial on this machine, with somebody at every end.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use cordon_lab::{Host, Lab, Plan, Process, now};
use serde_json::Value;

use crate::dicom::Studies;
use crate::interrupt::Raised;
use crate::wire::Boundary;
use crate::{dicom, records};

/// How long a server may take to listen.
const START: Duration = Duration::from_secs(15);
/// What the CT and the records server have of their lines: transfers take seconds, as they do in a hospital.
const LINE: &str = "20mbit";

/// The lab, what runs in it, and files that go away with it.
pub struct Hospital {
    // Dropped in this order: first what runs, then what it runs in.
    servers: Mutex<Vec<Process>>,
    raised: Raised,
    boundary: Boundary,
    files: PathBuf,
    studies: Studies,
}

/// What `cordon` said.
pub struct Said {
    /// Its exit code.
    pub code: Option<i32>,
    /// What it wrote, errors included.
    pub text: String,
    /// When it was started: nanoseconds since the epoch.
    pub began: u64,
    /// When it had returned.
    pub returned: u64,
}

impl Hospital {
    /// Raises it, with everyone in place. Its gateway is not started.
    pub fn raise() -> Result<Hospital> {
        let plan = Plan::manchester()?;
        let subnets = plan.vlans.iter().flat_map(|vlan| vlan.routers.clone());
        let subnets: Vec<_> = subnets.collect();
        let raised = Raised::raise(plan)?;
        let lab = raised.lab();
        let files = lab.directory().join("demo");
        std::fs::create_dir_all(&files).with_context(|| format!("making {}", files.display()))?;
        let ip = |name: &str| Ok::<_, cordon_lab::Error>(lab.host(name)?.ip());
        let boundary = Boundary {
            subnets,
            ct: ip("ct-1")?,
            archive: ip("pacs")?,
            clock: ip("ntp")?,
        };
        let mut hospital = Hospital {
            servers: Mutex::default(),
            raised,
            boundary,
            files,
            studies: Studies::default(),
        };
        let (staffed, studies) = std::thread::scope(|scope| {
            let studies = scope.spawn(|| Studies::make(&hospital.files));
            let staffed = hospital.staff();
            (staffed, studies.join().expect("does not panic"))
        });
        staffed?;
        hospital.studies = studies?;
        Ok(hospital)
    }

    /// The lab.
    pub fn lab(&self) -> &Lab {
        self.raised.lab()
    }

    /// What crosses the boundary of the site.
    pub fn boundary(&self) -> &Boundary {
        &self.boundary
    }

    /// Images to be sent.
    pub fn studies(&self) -> &Studies {
        &self.studies
    }

    /// Where files are.
    pub fn files(&self) -> &Path {
        &self.files
    }

    /// A host by name.
    pub fn host(&self, name: &str) -> Result<Host> {
        Ok(self.lab().host(name)?)
    }

    /// Starts everyone who answers: archive, workstation, records, interface engine, doors.
    fn staff(&self) -> Result<()> {
        for (host, title) in [("pacs", "PACS"), ("station-1", "STATION1")] {
            let arrived = dicom::arrivals(self, host);
            std::fs::create_dir_all(&arrived)?;
            let arrived = arrived.display().to_string();
            let port = dicom::PORT.to_string();
            // There is nobody to ask for the names of hosts.
            let listen = ["storescp", "-dhl", "--fork", "+B", "-aet", title];
            let listen = [&listen[..], &["-od", &arrived, &port]].concat();
            self.serve(host, &listen, &[dicom::PORT])?;
        }
        records::serve(self)?;
        self.serve_own("interfaces", &["engine", "2575"], &[2575])?;
        for (host, doors) in [
            ("ct-1", &[22][..]),
            ("station-2", &[445, 3389]),
            ("records", &[445]),
            ("internet", &[443]),
        ] {
            let ports: Vec<String> = doors.iter().map(u16::to_string).collect();
            let mut line = vec!["doors"];
            line.extend(ports.iter().map(String::as_str));
            self.serve_own(host, &line, doors)?;
        }
        for host in ["ct-1", "records"] {
            let line = ["tc", "qdisc", "add", "dev", "eth0", "root", "tbf"];
            let line = [&line[..], &["rate", LINE, "burst", "32kb", "latency", "1s"]].concat();
            let shaped = self.host(host)?.exec(&line)?;
            if !shaped.success() {
                bail!("tc could not slow the line of {host}: {}", shaped.stderr);
            }
        }
        Ok(())
    }

    /// Starts a server, and returns when it listens.
    pub fn serve(&self, host: &str, line: &[&str], ports: &[u16]) -> Result<()> {
        let host = self.host(host)?;
        let mut server = host.spawn(line)?;
        let begun = Instant::now();
        for port in ports {
            while !host.connects(host.at(*port), Duration::from_secs(1))? {
                if !server.is_running()? || begun.elapsed() > START {
                    bail!(
                        "`{}` at {} does not listen at port {port}: {}{}",
                        line.join(" "),
                        host.name(),
                        server.stdout(),
                        server.stderr()
                    );
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        servers.push(server);
        Ok(())
    }

    /// The same with a server that is part of this program.
    fn serve_own(&self, host: &str, arguments: &[&str], ports: &[u16]) -> Result<()> {
        let this = std::env::current_exe().context("finding this program")?;
        let this = this.display().to_string();
        self.serve(host, &[&[this.as_str()], arguments].concat(), ports)
    }

    /// Runs `cordon` to its end.
    pub fn cordon(&self, arguments: &[&str]) -> Result<Said> {
        let mut command = self.lab().gateway().cordon_command()?;
        command.args(arguments).stdin(Stdio::null());
        let began = now();
        // Not by way of the lab, which looks only every few milliseconds whether it has ended.
        let output = command.output().context("running cordon")?;
        let returned = now();
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        Ok(Said {
            code: output.status.code(),
            text,
            began,
            returned,
        })
    }

    /// Runs `cordon`, which must succeed.
    pub fn must(&self, arguments: &[&str]) -> Result<Said> {
        let said = self.cordon(arguments)?;
        match said.code {
            Some(0) => Ok(said),
            _ => bail!("cordon {}: {}", arguments.join(" "), said.text),
        }
    }

    /// What `cordon` answers a program.
    pub fn json(&self, arguments: &[&str]) -> Result<Value> {
        Ok(self.lab().gateway().json(arguments)?)
    }

    /// Leaves it up, with all that runs in it, and says how to remove it.
    pub fn keep(self) -> Result<String> {
        let servers = self.servers.into_inner();
        let servers = servers.unwrap_or_else(PoisonError::into_inner);
        let kept = self.raised.keep()?;
        servers.into_iter().for_each(Process::leave);
        let remove = kept.commands.into_iter().next_back();
        let (command, _) = remove.context("the lab does not say how it is removed")?;
        Ok(command)
    }
}
