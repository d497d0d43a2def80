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
    /// Reads the file that was named, which must be there; or else the usual one, which need not.
    ///
    /// # Errors
    /// [`Unusable`], with line and column where there is one.
    pub fn read(named: Option<&Path>) -> Result<Config, Unusable> {
        let path = named.unwrap_or(Path::new(USUAL));
        let unusable = |why: String| Unusable {
            path: path.to_owned(),
            why,
        };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => {
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
        if config.flows.ipv4 == 0 || config.flows.ipv6 == 0 {
            return Err(unusable(
                "flows: there is room for one of each at least".to_owned(),
            ));
        }
        for (name, path) in [
            ("state", &config.state),
            ("pins", &config.pins),
            ("socket.path", &config.socket.path),
        ] {
            if !path.is_absolute() {
                return Err(unusable(format!(
                    "{name} is {path:?}; it is an absolute path"
                )));
            }
        }
        Ok(config)
    }
}

/// Where the configuration is, unless told otherwise.
const USUAL: &str = "/etc/cordon/gateway.toml";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, String> {
        let file = tempfile::NamedTempFile::new().expect("makes a file");
        std::fs::write(file.path(), text).expect("writes");
        Config::read(Some(file.path())).map_err(|unusable| unusable.to_string())
    }

    #[test]
    fn everything_has_a_default() {
        let config = read("").expect("is good");
        assert_eq!(config.socket.path, Path::new(cordon_protocol::SOCKET));
        assert_eq!(config.state, Path::new("/var/lib/cordon"));
        let config =
            read("[log]\nformat = \"json\"\n[socket]\ngroup = \"cordon\"\n").expect("is good");
        assert_eq!(
            (config.log.format, config.log.level.as_str()),
            (LogFormat::Json, "info")
        );
        assert_eq!(config.socket.group.as_deref(), Some("cordon"));
    }

    #[test]
    fn what_is_not_understood_is_told_with_its_place() {
        for (text, told) in [
            ("stat = \"/x\"", "stat"),
            ("[log]\nlevel = \"loud\"", "error, warn, info, debug, trace"),
            ("[log]\n\nformat = \"xml\"", "line 3"),
            ("[metrics]\nlisten = \"here\"", "line 2"),
            ("[flows]\nipv4 = 0", "room"),
            ("state = \"cordon\"", "absolute"),
        ] {
            let error = read(text).expect_err("is refused");
            assert!(error.contains(told), "{text}: {error}");
        }
    }

    #[test]
    fn a_file_that_was_named_must_be_there() {
        let missing = Path::new("/nowhere/gateway.toml");
        let error = Config::read(Some(missing))
            .expect_err("is refused")
            .to_string();
        assert!(error.contains("/nowhere/gateway.toml"), "{error}");
    }
}
