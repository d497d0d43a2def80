//! The gateway's local API: HTTP over its Unix socket, one connection for each call.

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

use crate::error::{Effect, Error};

/// A client of the local API.
pub struct Client {
    socket: PathBuf,
    timeout: Duration,
    runtime: Runtime,
}

/// A successful answer.
pub struct Answer {
    /// The time on the gateway's clock. Ages are computed from it, so that a wrong clock on this machine does no harm.
    pub now: SystemTime,
    call: Call,
    body: Bytes,
}

/// What [`Client::follow`] passes on.
pub enum StreamEvent<'a> {
    /// The gateway sent a line.
    Line(&'a [u8]),
    /// A second has passed.
    Tick,
    /// The user pressed Ctrl-C.
    Interrupt,
}

/// A call, for error messages.
#[derive(Clone)]
struct Call {
    method: Method,
    path: String,
}

impl Call {
    /// The effect of a call that was sent and not answered.
    fn effect(&self) -> Effect {
        match self.method == Method::POST && self.path != "/v1/explain" {
            true => Effect::Unknown,
            false => Effect::Unchanged,
        }
    }

    fn invalid_answer(&self, why: impl ToString) -> Error {
        Error::InvalidAnswer {
            call: format!("{} {}", self.method, self.path),
            why: why.to_string(),
            effect: self.effect(),
        }
    }

    fn connection_error(&self, error: &hyper::Error) -> Error {
        if error.is_parse() {
            self.invalid_answer(error)
        } else {
            Error::Disconnected {
                effect: self.effect(),
            }
        }
    }
}

impl Answer {
    /// Parses the body.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|error| match self.call.invalid_answer(error) {
            // The status was a success, so the change was made even though the body cannot be read.
            Error::InvalidAnswer {
                call,
                why,
                effect: Effect::Unknown,
            } => Error::InvalidAnswer {
                call,
                why,
                effect: Effect::Done,
            },
            other => other,
        })
    }
}

impl Client {
    /// A client. It connects at each call.
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

    /// Sends a GET request.
    pub fn get(&self, path: &str) -> Result<Answer, Error> {
        self.call(Method::GET, path, Bytes::new())
    }

    /// Sends a POST request.
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
        let effect = call.effect();
        let exchange = async {
            let response = self.send(&call, body).await?;
            let now = date(&response);
            let body = response
                .into_body()
                .collect()
                .await
                .map_err(|error| call.connection_error(&error))?;
            Ok(Answer {
                now,
                call: call.clone(),
                body: body.to_bytes(),
            })
        };
        self.runtime.block_on(async {
            let timed_out = Error::TimedOut {
                after: self.timeout,
                effect,
            };
            tokio::time::timeout(self.timeout, exchange)
                .await
                .unwrap_or(Err(timed_out))
        })
    }

    /// Calls `each` for every line of a stream, every second, and at Ctrl-C, until it returns false or the stream ends.
    pub fn follow(
        &self,
        path: &str,
        mut each: impl FnMut(StreamEvent) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let call = Call {
            method: Method::GET,
            path: path.to_owned(),
        };
        self.runtime.block_on(async {
            let timed_out = Error::TimedOut {
                after: self.timeout,
                effect: Effect::Unchanged,
            };
            let response = tokio::time::timeout(self.timeout, self.send(&call, Bytes::new())).await;
            let mut body = response.unwrap_or(Err(timed_out))?.into_body();
            let mut timer = tokio::time::interval(Duration::from_secs(1));
            let mut interrupt = signal(SignalKind::interrupt()).map_err(|source| Error::Io {
                what: "cannot wait for Ctrl-C",
                source,
            })?;
            let mut incomplete = Vec::new();
            loop {
                let more = tokio::select! {
                    frame = body.frame() => match frame {
                        Some(Ok(frame)) => lines(&mut incomplete, frame.data_ref(), &mut each)?,
                        Some(Err(_)) | None => return Err(Error::StreamEnded),
                    },
                    _ = timer.tick() => each(StreamEvent::Tick)?,
                    _ = interrupt.recv() => each(StreamEvent::Interrupt)?,
                };
                if !more {
                    return Ok(());
                }
            }
        })
    }

    /// Sends a call, and returns the response if its status is a success.
    async fn send(&self, call: &Call, body: Bytes) -> Result<Response<Incoming>, Error> {
        let stream = self.connect(call).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| call.connection_error(&error))?;
        // The task ends with the exchange, which sees every error of the connection too.
        tokio::spawn(connection);
        let request = Request::builder()
            .method(&call.method)
            .uri(&call.path)
            .header(HOST, "cordond")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| call.invalid_answer(error))?;
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| call.connection_error(&error))?;
        let status = response.status();
        if status == StatusCode::OK || status == StatusCode::CREATED {
            return Ok(response);
        }
        let body = response
            .into_body()
            .collect()
            .await
            .map_err(|error| call.connection_error(&error))?;
        let failure: Failure = serde_json::from_slice(&body.to_bytes()).map_err(|_| match call
            .invalid_answer(format!("status {status}"))
        {
            // The gateway does not know this call, or does not accept its form.
            Error::InvalidAnswer { call, why, .. } if status.is_client_error() => {
                Error::InvalidAnswer {
                    call,
                    why,
                    effect: Effect::Unchanged,
                }
            }
            other => other,
        })?;
        Err(Error::Refused(Box::new(failure)))
    }

    /// Connects. If the listen queue of the socket is full, the kernel refuses the connection (EAGAIN) before any byte is
    /// sent, so trying again is safe.
    async fn connect(&self, call: &Call) -> Result<UnixStream, Error> {
        let start = Instant::now();
        // Ends before the timeout, whose error would not say that the gateway is busy.
        while start.elapsed() < self.timeout * 3 / 4 {
            match UnixStream::connect(&self.socket).await {
                Ok(stream) => return Ok(stream),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                Err(error) => return Err(self.connect_error(call, error)),
            }
        }
        Err(Error::Busy {
            socket: self.socket.clone(),
        })
    }

    fn connect_error(&self, call: &Call, source: io::Error) -> Error {
        let socket = self.socket.clone();
        if source.kind() != io::ErrorKind::PermissionDenied {
            let note = match call.effect() {
                Effect::Unchanged => "",
                _ => ". NOTHING WAS CHANGED",
            };
            return Error::Unreachable {
                socket,
                source,
                note,
            };
        }
        let gid = std::fs::metadata(&socket).map(|metadata| metadata.gid());
        let group = gid.ok().map(|gid| {
            let found = nix::unistd::Group::from_gid(gid.into()).ok().flatten();
            found.map_or_else(|| gid.to_string(), |group| group.name)
        });
        // Joining the group `root` is no remedy to suggest.
        Error::Permission {
            socket,
            group: group.filter(|group| group != "root"),
        }
    }
}

/// The gateway's clock.
fn date(response: &Response<Incoming>) -> SystemTime {
    let text = response
        .headers()
        .get(DATE)
        .and_then(|value| value.to_str().ok());
    text.and_then(|text| httpdate::parse_http_date(text).ok())
        .unwrap_or_else(SystemTime::now)
}

/// Calls `each` for every line of the data. An incomplete last line stays in `incomplete` for the next call.
fn lines(
    incomplete: &mut Vec<u8>,
    data: Option<&Bytes>,
    each: &mut impl FnMut(StreamEvent) -> Result<bool, Error>,
) -> Result<bool, Error> {
    incomplete.extend_from_slice(data.map(|data| &data[..]).unwrap_or_default());
    while let Some(end) = incomplete.iter().position(|byte| *byte == b'\n') {
        let line: Vec<u8> = incomplete.drain(..=end).collect();
        if !line.trim_ascii().is_empty() && !each(StreamEvent::Line(line.trim_ascii()))? {
            return Ok(false);
        }
    }
    Ok(true)
}
