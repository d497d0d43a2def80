//! `gateway.toml`.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The configuration. Everything has a default; an unknown key is an error.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Where the last good policy, the posture and the orders are kept.
    pub state: PathBuf,
    /// A directory on a bpf file system, for what outlives the daemon.
    pub pins: PathBuf,
    /// The local API.
    pub socket: Socket,
    /// The metrics.
    pub metrics: Metrics,
    /// The log.
    pub log: Log,
    /// The flow table.
    pub flows: Flows,
}

/// The local API's socket.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Socket {
    /// Its path.
    pub path: PathBuf,
    /// The group that may use it, besides root.
    pub group: Option<String>,
}

/// Where Prometheus scrapes.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// Address and port.
    pub listen: SocketAddr,
}

/// The log, on standard error.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// Its form.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
}

/// The form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Room in the flow table; takes effect when the data plane is loaded anew.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Flows {
    /// IPv4 flows.
    pub ipv4: u32,
    /// IPv6 flows.
    pub ipv6: u32,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            state: "/var/lib/cordon".into(),
            pins: "/sys/fs/bpf/cordon".into(),
            socket: Socket::default(),
            metrics: Metrics::default(),
            log: Log::default(),
            flows: Flows::default(),
        }
    }
}

impl Default for Socket {
    fn default() -> Socket {
        Socket {
            path: cordon_protocol::SOCKET.into(),
            group: None,
        }
    }
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics {
            listen: SocketAddr::from(([127, 0, 0, 1], 9469)),
        }
    }
}

impl Default for Log {
    fn default() -> Log {
        Log {
            format: LogFormat::Text,
            level: "info".to_owned(),
        }
    }
}

impl Default for Flows {
    fn default() -> Flows {
        Flows {
            ipv4: 262_144,
            ipv6: 65536,
        }
    }
}

/// Why the configuration cannot be used.
#[derive(Debug)]
pub struct Unusable {
    path: PathBuf,
    why: String,
}

impl fmt::Display for Unusable {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}: {}", self.path.display(), self.why)
    }
}

impl std::error::Error for Unusable {}

impl Config {
    /// Reads the file; the defaults if there is none.
    ///
    /// # Errors
    /// [`Unusable`], with line and column where there is one.
    pub fn read(path: &Path) -> Result<Config, Unusable> {
        let unusable = |why: String| Unusable {
            path: path.to_owned(),
            why,
        };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Config::default());
            }
            Err(error) => return Err(unusable(error.to_string())),
        };
        let config: Config = toml::from_str(&text).map_err(|error| unusable(error.to_string()))?;
        const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];
        if !LEVELS.contains(&config.log.level.as_str()) {
            return Err(unusable(format!(
                "log.level is {:?}; it is one of {}",
                config.log.level,
                LEVELS.join(", ")
            )));
        }
        Ok(config)
    }
}
