//! The records server and its clients: HTTPS with a certificate made for this run.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use cordon_lab::{Host, Process};

use crate::hospital::Hospital;

const NAME: &str = "records.echn.example";
const CHART: &str = "chart-4711.html";
const ARCHIVE: &str = "charts.bin";
const SERVER: &str = include_str!("records.py");

/// The result of reading a page with curl.
pub struct Page {
    /// Whether the page is correct and the certificate was verified.
    pub read: bool,
    /// curl's error message.
    pub error: String,
    /// Time that it took.
    pub took: Duration,
}

/// A download of a large file.
pub struct Download {
    process: Process,
    to: PathBuf,
    of: PathBuf,
}

fn directory(hospital: &Hospital) -> PathBuf {
    hospital.files().join("records")
}

fn certificate(hospital: &Hospital) -> PathBuf {
    hospital.files().join("records.pem")
}

/// Makes the certificate and the charts, and starts the server.
pub fn serve(hospital: &Hospital) -> Result<()> {
    let (charts, certificate) = (directory(hospital), certificate(hospital));
    let key = hospital.files().join("records.key");
    let script = hospital.files().join("records.py");
    fs::create_dir_all(&charts)?;
    fs::write(charts.join(CHART), chart())?;
    fs::write(charts.join(ARCHIVE), archive())?;
    fs::write(&script, SERVER)?;
    let mut openssl = Command::new("openssl");
    openssl
        .args(["req", "-x509", "-nodes", "-days", "2", "-newkey", "ec"])
        .args(["-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-subj", &format!("/CN={NAME}")])
        .args(["-addext", &format!("subjectAltName=DNS:{NAME}")])
        .arg("-out")
        .arg(&certificate)
        .arg("-keyout")
        .arg(&key);
    let made = openssl.output().context("running openssl")?;
    if !made.status.success() {
        bail!("openssl: {}", String::from_utf8_lossy(&made.stderr));
    }
    let [script, charts, certificate, key] =
        [script, charts, certificate, key].map(|path| path.display().to_string());
    let line = ["python3", &script, "443", &charts, &certificate, &key];
    hospital.serve("records", &line, &[443])
}

/// A curl command without the page.
fn curl(hospital: &Hospital) -> Result<String> {
    let address = hospital.host("records")?.ip();
    Ok(format!(
        "curl -sS --noproxy * --connect-timeout 2 --cacert {} --resolve {NAME}:443:{address}",
        certificate(hospital).display()
    ))
}

fn download(hospital: &Hospital, page: &str, to: &str) -> Result<Vec<String>> {
    let curl = curl(hospital)?;
    let line = format!("{curl} --fail --max-time 60 --output {to} https://{NAME}/{page}");
    Ok(line.split_whitespace().map(str::to_owned).collect())
}

/// The curl command as it would be typed in a shell.
pub fn command(hospital: &Hospital) -> Result<String> {
    let curl = curl(hospital)?.replace(" * ", " '*' ");
    Ok(format!("{curl} https://{NAME}/{CHART}"))
}

/// Reads a chart.
pub fn read(hospital: &Hospital, from: &Host) -> Result<Page> {
    let began = Instant::now();
    let output = from.exec(&download(hospital, CHART, "-")?)?;
    Ok(Page {
        read: output.success() && output.stdout == chart(),
        error: output.stderr.trim().to_owned(),
        took: began.elapsed(),
    })
}

impl Download {
    /// Starts to download all charts.
    pub fn start(hospital: &Hospital, from: &Host) -> Result<Download> {
        let to = hospital.files().join(format!("download-{}", from.name()));
        let line = download(hospital, ARCHIVE, &to.display().to_string())?;
        Ok(Download {
            process: from.spawn(&line)?,
            of: directory(hospital).join(ARCHIVE),
            to,
        })
    }

    /// Bytes received so far.
    pub fn bytes(&self) -> u64 {
        fs::metadata(&self.to).map_or(0, |file| file.len())
    }

    /// Bytes of the whole file.
    pub fn of(&self) -> u64 {
        fs::metadata(&self.of).map_or(0, |file| file.len())
    }

    /// Waits for its end. Returns whether all bytes were received correctly.
    pub fn finish(&mut self, within: Duration) -> Result<bool> {
        // On a timeout the download is incomplete, and ends with the demo.
        let ended = self
            .process
            .wait(within)
            .is_ok_and(|output| output.success());
        Ok(ended && fs::read(&self.to)? == fs::read(&self.of)?)
    }
}

fn chart() -> String {
    "<!doctype html><title>4711</title><p>Demo, Patient: allergic to penicillin.\n".to_owned()
}

/// 10 MB of pseudo-random data.
fn archive() -> Vec<u8> {
    let mut state: u64 = 4711;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..10_000_000 / 8).flat_map(|_| next()).collect()
}
