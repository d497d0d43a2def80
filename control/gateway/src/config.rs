//! The configuration file, `gateway.toml`.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The configuration. Everything has a default; an unknown key is an error.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Directory for the policy, the posture and the orders.
    pub state: PathBuf,
    /// Directory on a bpf file system, for the maps and programs that outlive the daemon.
    pub pins: PathBuf,
    /// The socket of the local API.
    pub socket: Socket,
    /// The endpoint of the metrics.
    pub metrics: Metrics,
    /// The log.
    pub log: Log,
    /// The size of the flow tables.
    pub flows: Flows,
}

/// The local API's socket.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Socket {
    /// Path of the socket.
    pub path: PathBuf,
    /// Group that may make every call, besides root: the same as `roles.all`.
    pub group: Option<String>,
    /// Groups that may make some calls.
    pub roles: Roles,
}

/// The group that has each role. A role includes those before it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Roles {
    /// May read: status, devices, rules, flows, orders, events, explanations.
    pub look: Option<String>,
    /// May give quarantines too.
    pub contain: Option<String>,
    /// May make every call: release, apply and confirm policies.
    pub all: Option<String>,
}

/// The endpoint that Prometheus scrapes.
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
    /// Format of a line.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
}

/// The format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Plain text.
    Text,
    /// One JSON object per line.
    Json,
}

/// Capacity of the flow tables. Takes effect when the data plane is loaded without a pinned program.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Flows {
    /// Number of IPv4 flows.
    pub ipv4: u32,
    /// Number of IPv6 flows.
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
            roles: Roles::default(),
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

/// The configuration cannot be used.
#[derive(Debug)]
pub struct ConfigError {
    path: PathBuf,
    reason: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}: {}", self.path.display(), self.reason)
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads the given file, which must exist; or else the default one, which need not.
    ///
    /// # Errors
    /// [`ConfigError`], with line and column where there is one.
    pub fn read(path_argument: Option<&Path>) -> Result<Config, ConfigError> {
        let path = path_argument.unwrap_or(Path::new(DEFAULT_PATH));
        let unusable = |reason: String| ConfigError {
            path: path.to_owned(),
            reason,
        };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error)
                if error.kind() == std::io::ErrorKind::NotFound && path_argument.is_none() =>
            {
                return Ok(Config::default());
            }
            Err(error) => return Err(unusable(error.to_string())),
        };
        let config: Config = toml::from_str(&text).map_err(|error| unusable(error.to_string()))?;
        const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];
        if !LEVELS.contains(&config.log.level.as_str()) {
            return Err(unusable(format!(
                "log.level is {:?}, but must be one of {}",
                config.log.level,
                LEVELS.join(", ")
            )));
        }
        if config.flows.ipv4 == 0 || config.flows.ipv6 == 0 {
            return Err(unusable(
                "flows: ipv4 and ipv6 must be at least 1".to_owned(),
            ));
        }
        for (name, path) in [
            ("state", &config.state),
            ("pins", &config.pins),
            ("socket.path", &config.socket.path),
        ] {
            if !path.is_absolute() {
                return Err(unusable(format!(
                    "{name} is {path:?}, but must be an absolute path"
                )));
            }
        }
        Ok(config)
    }
}

/// The default configuration file.
const DEFAULT_PATH: &str = "/etc/cordon/gateway.toml";

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
        let config = read("").expect("is valid");
        assert_eq!(config.socket.path, Path::new(cordon_protocol::SOCKET));
        assert_eq!(config.state, Path::new("/var/lib/cordon"));
        let config =
            read("[log]\nformat = \"json\"\n[socket]\ngroup = \"cordon\"\n").expect("is valid");
        assert_eq!(
            (config.log.format, config.log.level.as_str()),
            (LogFormat::Json, "info")
        );
        assert_eq!(config.socket.group.as_deref(), Some("cordon"));
        let config = read("[socket.roles]\nlook = \"wards\"\ncontain = \"analysts\"\n");
        let roles = config.expect("is valid").socket.roles;
        assert_eq!(roles.look.as_deref(), Some("wards"));
        assert_eq!(
            (roles.contain.as_deref(), roles.all),
            (Some("analysts"), None)
        );
    }

    #[test]
    fn an_invalid_file_is_refused_with_key_or_line() {
        for (text, expected) in [
            ("stat = \"/x\"", "stat"),
            ("[log]\nlevel = \"loud\"", "error, warn, info, debug, trace"),
            ("[log]\n\nformat = \"xml\"", "line 3"),
            ("[metrics]\nlisten = \"here\"", "line 2"),
            ("[flows]\nipv4 = 0", "at least 1"),
            ("state = \"cordon\"", "absolute"),
            ("[socket.roles]\nrelease = \"x\"", "release"),
        ] {
            let error = read(text).expect_err("is refused");
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn a_file_given_by_path_must_exist() {
        let missing = Path::new("/missing/gateway.toml");
        let error = Config::read(Some(missing))
            .expect_err("is refused")
            .to_string();
        assert!(error.contains("/missing/gateway.toml"), "{error}");
    }
}
