//! Manchester Memorial in a lab, with the servers of its hosts.

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

/// Time limit for a server to listen.
const START: Duration = Duration::from_secs(15);
/// Bandwidth of the CT and the records server: transfers take seconds, as in a hospital.
const BANDWIDTH: &str = "20mbit";

/// The lab, its servers, and files that are removed with it.
pub struct Hospital {
    // Dropped in this order: servers before the lab.
    servers: Mutex<Vec<Process>>,
    raised: Raised,
    boundary: Boundary,
    files: PathBuf,
    studies: Studies,
}

/// The output and timing of a `cordon` command.
pub struct CommandOutput {
    /// Exit code.
    pub code: Option<i32>,
    /// Standard output and standard error.
    pub text: String,
    /// Start time, in nanoseconds since the epoch.
    pub began: u64,
    /// End time, in nanoseconds since the epoch.
    pub returned: u64,
}

impl Hospital {
    /// Raises the lab and starts all servers. The gateway is not started.
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
        let (started, studies) = std::thread::scope(|scope| {
            let studies = scope.spawn(|| Studies::make(&hospital.files));
            let started = hospital.start_servers();
            (started, studies.join().expect("does not panic"))
        });
        started?;
        hospital.studies = studies?;
        Ok(hospital)
    }

    /// The lab.
    pub fn lab(&self) -> &Lab {
        self.raised.lab()
    }

    /// The boundary of the site.
    pub fn boundary(&self) -> &Boundary {
        &self.boundary
    }

    /// The images to send.
    pub fn studies(&self) -> &Studies {
        &self.studies
    }

    /// The directory of the demo's files.
    pub fn files(&self) -> &Path {
        &self.files
    }

    /// A host by name.
    pub fn host(&self, name: &str) -> Result<Host> {
        Ok(self.lab().host(name)?)
    }

    /// Starts the servers: archive, workstation, records, interface engine, and open ports for scans to find.
    fn start_servers(&self) -> Result<()> {
        for (host, title) in [("pacs", "PACS"), ("station-1", "STATION1")] {
            let arrived = dicom::received_directory(self, host);
            std::fs::create_dir_all(&arrived)?;
            let arrived = arrived.display().to_string();
            let port = dicom::PORT.to_string();
            // Without host name lookups (-dhl): the lab has no DNS.
            let listen = ["storescp", "-dhl", "--fork", "+B", "-aet", title];
            let listen = [&listen[..], &["-od", &arrived, &port]].concat();
            self.serve(host, &listen, &[dicom::PORT])?;
        }
        records::serve(self)?;
        self.serve_builtin("interfaces", &["engine", "2575"], &[2575])?;
        for (host, ports) in [
            ("ct-1", &[22][..]),
            ("station-2", &[445, 3389]),
            ("records", &[445]),
            ("internet", &[443]),
        ] {
            let arguments: Vec<String> = ports.iter().map(u16::to_string).collect();
            let mut line = vec!["accept"];
            line.extend(arguments.iter().map(String::as_str));
            self.serve_builtin(host, &line, ports)?;
        }
        for host in ["ct-1", "records"] {
            let line = ["tc", "qdisc", "add", "dev", "eth0", "root", "tbf"];
            let line = [
                &line[..],
                &["rate", BANDWIDTH, "burst", "32kb", "latency", "1s"],
            ]
            .concat();
            let shaped = self.host(host)?.exec(&line)?;
            if !shaped.success() {
                bail!(
                    "tc could not limit the bandwidth of {host}: {}",
                    shaped.stderr
                );
            }
        }
        Ok(())
    }

    /// Starts a server. Returns when it listens.
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

    /// As [`Hospital::serve`], for a server that is part of this program.
    fn serve_builtin(&self, host: &str, arguments: &[&str], ports: &[u16]) -> Result<()> {
        let this = std::env::current_exe().context("finding this program")?;
        let this = this.display().to_string();
        self.serve(host, &[&[this.as_str()], arguments].concat(), ports)
    }

    /// Runs `cordon` to its end.
    pub fn cordon(&self, arguments: &[&str]) -> Result<CommandOutput> {
        let mut command = self.lab().gateway().cordon_command()?;
        command.args(arguments).stdin(Stdio::null());
        let began = now();
        // Not by the lab's function, which polls and so delays the end time by milliseconds.
        let output = command.output().context("running cordon")?;
        let returned = now();
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        Ok(CommandOutput {
            code: output.status.code(),
            text,
            began,
            returned,
        })
    }

    /// Runs `cordon`, which must succeed.
    pub fn must(&self, arguments: &[&str]) -> Result<CommandOutput> {
        let output = self.cordon(arguments)?;
        match output.code {
            Some(0) => Ok(output),
            _ => bail!("cordon {}: {}", arguments.join(" "), output.text),
        }
    }

    /// Runs `cordon --output json`, which must succeed.
    pub fn json(&self, arguments: &[&str]) -> Result<Value> {
        Ok(self.lab().gateway().json(arguments)?)
    }

    /// Keeps the hospital with its servers. Returns the command that removes it.
    pub fn keep(self) -> Result<String> {
        let servers = self.servers.into_inner();
        let servers = servers.unwrap_or_else(PoisonError::into_inner);
        let kept = self.raised.keep()?;
        servers.into_iter().for_each(Process::detach);
        let remove = kept.commands.into_iter().next_back();
        let (command, _) = remove.context("the lab has no command to remove it")?;
        Ok(command)
    }
}
