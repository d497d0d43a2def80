//! The gateway's local API: HTTP over its Unix socket, one connection a call.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use cordon_protocol::Failure;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, DATE, HOST};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::error::{Error, Outcome};

/// A caller of the local API.
pub struct Client {
    socket: PathBuf,
    timeout: Duration,
    runtime: Runtime,
}

/// An answer that is a success.
pub struct Answer {
    /// The gateway's clock: what ages are measured by, so that a wrong clock here does not matter.
    pub now: SystemTime,
    call: Call,
    body: Bytes,
}

/// What [`Client::follow`] tells of.
pub enum Heard<'a> {
    /// A line.
    Line(&'a [u8]),
    /// A second has passed.
    Second,
    /// The person pressed Ctrl-C.
    Interrupt,
}

/// A call, as far as errors speak of it.
#[derive(Clone)]
struct Call {
    method: Method,
    path: String,
}

impl Call {
    /// What is known of a call that was sent and not answered.
    fn outcome(&self) -> Outcome {
        match self.method == Method::POST && self.path != "/v1/explain" {
            true => Outcome::Unknown,
            false => Outcome::Harmless,
        }
    }

    fn not_understood(&self, why: impl ToString) -> Error {
        Error::NotUnderstood {
            call: format!("{} {}", self.method, self.path),
            why: why.to_string(),
            outcome: self.outcome(),
        }
    }

    fn broken(&self, error: &hyper::Error) -> Error {
        if error.is_parse() {
            self.not_understood(error)
        } else {
            Error::Cut {
                outcome: self.outcome(),
            }
        }
    }
}

impl Answer {
    /// As a type of the protocol.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|error| match self.call.not_understood(error) {
            // That it is a success is known, if no more.
            Error::NotUnderstood {
                call,
                why,
                outcome: Outcome::Unknown,
            } => Error::NotUnderstood {
                call,
                why,
                outcome: Outcome::Done,
            },
            other => other,
        })
    }
}

impl Client {
    /// A caller; it connects with its first call.
    pub fn new(socket: &Path, timeout: Duration) -> Result<Client, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        Ok(Client {
            socket: socket.to_owned(),
            timeout,
            runtime: runtime.map_err(|source| Error::Io {
                what: "cannot start",
                source,
            })?,
        })
    }

    /// Asks.
    pub fn get(&self, path: &str) -> Result<Answer, Error> {
        self.call(Method::GET, path, Bytes::new())
    }

    /// Tells.
    pub fn post<T: Serialize>(&self, path: &str, body: &T) -> Result<Answer, Error> {
        let body = serde_json::to_vec(body).map_err(|error| Error::Io {
            what: "cannot write the request",
            source: error.into(),
        })?;
        self.call(Method::POST, path, body.into())
    }

    fn call(&self, method: Method, path: &str, body: Bytes) -> Result<Answer, Error> {
        let call = Call {
            method,
            path: path.to_owned(),
        };
        let outcome = call.outcome();
        let exchange = async {
            let response = self.send(&call, body).await?;
            let now = date(&response);
            let body = response
                .into_body()
                .collect()
                .await
                .map_err(|error| call.broken(&error))?;
            Ok(Answer {
                now,
                call: call.clone(),
                body: body.to_bytes(),
            })
        };
        self.runtime.block_on(async {
            let silent = Error::Silent {
                after: self.timeout,
                outcome,
            };
            tokio::time::timeout(self.timeout, exchange)
                .await
                .unwrap_or(Err(silent))
        })
    }

    /// Follows a stream of lines until `each` answers false, or it ends.
    pub fn follow(
        &self,
        path: &str,
        mut each: impl FnMut(Heard) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let call = Call {
            method: Method::GET,
            path: path.to_owned(),
        };
        self.runtime.block_on(async {
            let silent = Error::Silent {
                after: self.timeout,
                outcome: Outcome::Harmless,
            };
            let response = tokio::time::timeout(self.timeout, self.send(&call, Bytes::new())).await;
            let mut body = response.unwrap_or(Err(silent))?.into_body();
            let mut timer = tokio::time::interval(Duration::from_secs(1));
            let mut interrupt = signal(SignalKind::interrupt()).map_err(|source| Error::Io {
                what: "cannot wait for Ctrl-C",
                source,
            })?;
            let mut rest = Vec::new();
            loop {
                let more = tokio::select! {
                    frame = body.frame() => match frame {
                        Some(Ok(frame)) => lines(&mut rest, frame.data_ref(), &mut each)?,
                        Some(Err(_)) | None => return Err(Error::StreamEnded),
                    },
                    _ = timer.tick() => each(Heard::Second)?,
                    _ = interrupt.recv() => each(Heard::Interrupt)?,
                };
                if !more {
                    return Ok(());
                }
            }
        })
    }

    /// Sends a call; answers its response once it is known to be a success.
    async fn send(&self, call: &Call, body: Bytes) -> Result<Response<Incoming>, Error> {
        let stream = self.connect(call).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| call.broken(&error))?;
        // It ends with the exchange, and what goes wrong with it the exchange sees too.
        tokio::spawn(connection);
        let request = Request::builder()
            .method(&call.method)
            .uri(&call.path)
            .header(HOST, "cordond")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| call.not_understood(error))?;
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| call.broken(&error))?;
        let status = response.status();
        if status == StatusCode::OK || status == StatusCode::CREATED {
            return Ok(response);
        }
        let body = response
            .into_body()
            .collect()
            .await
            .map_err(|error| call.broken(&error))?;
        let failure: Failure = serde_json::from_slice(&body.to_bytes()).map_err(|_| match call
            .not_understood(format!("status {status}"))
        {
            // It knows no such call, or took it for a wrong one.
            Error::NotUnderstood { call, why, .. } if status.is_client_error() => {
                Error::NotUnderstood {
                    call,
                    why,
                    outcome: Outcome::Harmless,
                }
            }
            other => other,
        })?;
        Err(Error::Refused(Box::new(failure)))
    }

    /// Connects. Where many call at once, the kernel sends away who comes last: nothing has been said by then, so that it
    /// can be tried again.
    async fn connect(&self, call: &Call) -> Result<UnixStream, Error> {
        let start = Instant::now();
        // In good time, for what comes behind it to be told from this.
        while start.elapsed() < self.timeout * 3 / 4 {
            match UnixStream::connect(&self.socket).await {
                Ok(stream) => return Ok(stream),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                Err(error) => return Err(self.no_way(call, error)),
            }
        }
        Err(Error::Crowded {
            socket: self.socket.clone(),
        })
    }

    fn no_way(&self, call: &Call, source: io::Error) -> Error {
        let socket = self.socket.clone();
        if source.kind() != io::ErrorKind::PermissionDenied {
            let nothing = match call.outcome() {
                Outcome::Harmless => "",
                _ => ". NOTHING WAS DONE",
            };
            return Error::Unreachable {
                socket,
                source,
                nothing,
            };
        }
        let gid = std::fs::metadata(&socket).map(|metadata| metadata.gid());
        let group = gid.ok().map(|gid| {
            let found = nix::unistd::Group::from_gid(gid.into()).ok().flatten();
            found.map_or_else(|| gid.to_string(), |group| group.name)
        });
        // To be told to join group `root` helps nobody.
        Error::Permission {
            socket,
            group: group.filter(|group| group != "root"),
        }
    }
}

/// The clock of who answered.
fn date(response: &Response<Incoming>) -> SystemTime {
    let text = response
        .headers()
        .get(DATE)
        .and_then(|value| value.to_str().ok());
    text.and_then(|text| httpdate::parse_http_date(text).ok())
        .unwrap_or_else(SystemTime::now)
}

/// Cuts what arrived into lines.
fn lines(
    rest: &mut Vec<u8>,
    data: Option<&Bytes>,
    each: &mut impl FnMut(Heard) -> Result<bool, Error>,
) -> Result<bool, Error> {
    rest.extend_from_slice(data.map(|data| &data[..]).unwrap_or_default());
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let line: Vec<u8> = rest.drain(..=end).collect();
        if !line.trim_ascii().is_empty() && !each(Heard::Line(line.trim_ascii()))? {
            return Ok(false);
        }
    }
    Ok(true)
}
