//! Metrics: Prometheus scrapes them, promtool finds nothing to complain of, and each one moves when it should.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::time::Duration;

use aya::maps::{Array, Map, MapData, PerCpuArray, PerCpuValues};
use cordon_integration::exposition::Exposition;
use cordon_integration::hospital::{self, line};
use cordon_integration::steps::{PATIENCE, forget, quarantine, release, variant, wait_until};
use cordon_lab::{Error, Gateway, Lab, Result};
use cordon_policy::Posture;
use cordon_verdict::abi::{Control, rule_index};
use serde_json::Value;

/// What is done to the gateway, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    /// Devices talk as they may.
    Talk,
    /// A device talks to nobody who answers.
    TalkToNobody,
    /// A device says what no rule allows.
    Stray,
    /// It does nothing else any more.
    Flood,
    /// The site is put into quarantine.
    Quarantine,
    /// The kernel counts a packet that the quarantine forbids.
    Leak,
    /// The quarantine is over.
    Release,
    /// The connections that were closed are forgotten.
    Wait,
    /// A policy with more of everything is applied, and a port that has no interface.
    Apply,
    /// It is applied on trial.
    Trial,
    /// A cable is pulled.
    Unplug,
    /// The data plane is loaded anew, with less room.
    Reload,
}

/// What becomes of a series.
#[derive(Clone, Copy, Debug)]
enum Then {
    Rises,
    Falls,
    Changes,
    Is(f64),
}

use Act::{
    Apply, Flood, Leak, Quarantine, Release, Reload, Stray, Talk, TalkToNobody, Trial, Unplug, Wait,
};
use Then::{Changes, Falls, Is, Rises};

const ACTS: [Act; 12] = [
    Talk,
    TalkToNobody,
    Stray,
    Flood,
    Quarantine,
    Leak,
    Release,
    Wait,
    Apply,
    Trial,
    Unplug,
    Reload,
];

/// What moves each metric. A metric that is exposed and not here fails the test.
const TABLE: &[(&str, Act, Then)] = &[
    ("cordon_packets_total{verdict=\"passed\"}", Talk, Rises),
    ("cordon_packets_total{verdict=\"dropped\"}", Stray, Rises),
    ("cordon_bytes_total{verdict=\"passed\"}", Talk, Rises),
    ("cordon_bytes_total{verdict=\"dropped\"}", Stray, Rises),
    (
        "cordon_dropped_packets_total{reason=\"no-rule\"}",
        Stray,
        Rises,
    ),
    (
        "cordon_rule_packets_total{rule=\"ct-to-pacs\"}",
        Talk,
        Rises,
    ),
    ("cordon_rule_bytes_total{rule=\"ct-to-pacs\"}", Talk, Rises),
    ("cordon_flows{state=\"open\"}", Talk, Rises),
    ("cordon_flows{state=\"half-open\"}", TalkToNobody, Rises),
    ("cordon_flows_forgotten_total", Wait, Rises),
    ("cordon_flows_limit", Reload, Is(1000.0 + 500.0)),
    ("cordon_devices{state=\"seen\"}", Talk, Rises),
    ("cordon_devices{state=\"unseen\"}", Apply, Rises),
    ("cordon_events_lost_total", Flood, Rises),
    ("cordon_posture{scope=\"site\"}", Quarantine, Is(2.0)),
    ("cordon_orders_active", Quarantine, Is(1.0)),
    ("cordon_order_seconds_count", Quarantine, Rises),
    ("cordon_order_seconds_sum", Quarantine, Rises),
    (
        "cordon_packets_forbidden_after_acknowledgement_total",
        Leak,
        Rises,
    ),
    ("cordon_posture{scope=\"site\"}", Release, Is(0.0)),
    ("cordon_orders_active", Release, Is(0.0)),
    ("cordon_policy_generation", Apply, Rises),
    ("cordon_policy_devices", Apply, Rises),
    ("cordon_policy_rules", Apply, Rises),
    ("cordon_policy_classes", Apply, Rises),
    ("cordon_policy_compile_seconds", Apply, Changes),
    ("cordon_policy_install_seconds", Apply, Changes),
    ("cordon_table_bytes{table=\"policy\"}", Apply, Rises),
    ("cordon_table_bytes{table=\"flows\"}", Reload, Falls),
    ("cordon_warnings", Apply, Rises),
    ("cordon_policy_on_trial", Trial, Is(1.0)),
    (
        "cordon_port_up{port=\"access0\",device=\"eth1\"}",
        Unplug,
        Falls,
    ),
];

/// Metrics that nothing moves while a daemon runs, and why.
const FIXED: &[(&str, &str)] = &[(
    "cordon_build_info",
    "its label is what it says, and a build is of one version",
)];

#[test]
fn every_metric_moves() -> Result<()> {
    let lab = hospital::raise()?;
    let gateway = lab.gateway();
    gateway.start_with_policy()?;
    for act in ACTS {
        let before = scrape(gateway)?;
        let rows: Vec<_> = TABLE.iter().filter(|(_, when, _)| *when == act).collect();
        assert!(!rows.is_empty(), "{act:?} is for nothing");
        for (series, _, _) in &rows {
            assert!(before.value(series).is_some(), "there is no {series}");
        }
        play(&lab, act)?;
        let mut waiting = Vec::new();
        wait_until(&format!("{act:?} moves {rows:?}"), || {
            let after = scrape(gateway)?;
            waiting = rows
                .iter()
                .filter(|(series, _, then)| !moved(&before, &after, series, *then))
                .map(|row| row.0)
                .collect();
            if !waiting.is_empty() {
                // Some need more of it.
                again(&lab, act)?;
            }
            Ok(waiting.is_empty())
        })?;
    }

    let told = scrape(gateway)?;
    let known = |family: &str| {
        let in_table = TABLE
            .iter()
            .any(|(series, _, _)| family_of(series) == family);
        in_table || FIXED.iter().any(|(name, _)| *name == family)
    };
    for family in told.kind.keys() {
        let help = told.help.get(family).map_or("", String::as_str);
        assert!(
            help.len() > 10 && help.ends_with('.'),
            "{family} is not explained: {help:?}"
        );
        assert!(
            !family.starts_with("cordon_") || known(family),
            "no test moves {family}: add what does to the table"
        );
    }
    Ok(())
}

/// The metric that a series is of.
fn family_of(series: &str) -> &str {
    let name = series.split('{').next().unwrap_or(series);
    match name.strip_suffix("_count").or(name.strip_suffix("_sum")) {
        Some(histogram) => histogram,
        None => name,
    }
}

fn moved(before: &Exposition, after: &Exposition, series: &str, then: Then) -> bool {
    let (Some(before), Some(after)) = (before.value(series), after.value(series)) else {
        return false;
    };
    match then {
        Rises => after > before,
        Falls => after < before,
        Changes => after != before,
        Is(value) => after == value && before != value,
    }
}

fn scrape(gateway: &Gateway) -> Result<Exposition> {
    Ok(Exposition::read(&gateway.metrics()?))
}

fn play(lab: &Lab, act: Act) -> Result<()> {
    let gateway = lab.gateway();
    match act {
        Talk => {
            let flows = line(lab, "images")?
                .flows(5, Duration::from_millis(20))
                .start()?;
            flows.established(PATIENCE)?;
            flows.stop().map(drop)
        }
        TalkToNobody => say(lab, "vitals", None, 1),
        Stray => say(lab, "vitals", Some(9), 1),
        Flood => say(lab, "vitals", Some(9), 1000),
        Quarantine => quarantine(gateway, Posture::Contain),
        Leak => leak(gateway, "stations-to-records"),
        Release => release(gateway),
        Wait => Ok(()),
        Act::Apply => {
            // So many that tables have to be larger: they have room for a thousand more.
            let mut devices =
                "xray-1,02:00:5e:21:00:31,10.21.0.31,imaging,x-ray,imaging,high\n".to_owned();
            for number in 0..1100 {
                let [high, low] = u16::to_be_bytes(number);
                devices += &format!(
                    "tag-{number},02:00:5e:22:{high:02x}:{low:02x},,imaging,tag,imaging,low\n"
                );
            }
            devices += "ct-1,";
            let larger = variant(
                lab,
                "larger",
                &[
                    ("devices.csv", "ct-1,", &devices),
                    (
                        "policy.yaml",
                        "groups:\n",
                        "groups:\n  x-rays: {profile: x-ray}\n",
                    ),
                    (
                        "policy.yaml",
                        "rules:\n",
                        "rules:\n  - {name: xray-to-pacs, from: x-rays, to: pacs, service: dicom}\n",
                    ),
                    (
                        "site.yaml",
                        "segments:\n",
                        "  spare0:  {device: eth9}\nsegments:\n",
                    ),
                ],
            )?;
            gateway.must(&["apply", &larger]).map(drop)
        }
        Trial => gateway
            .must(&[
                "apply",
                &gateway.policy().display().to_string(),
                "--confirm",
                "1h",
            ])
            .map(drop),
        Unplug => cable(gateway, "down"),
        Reload => {
            cable(gateway, "up")?;
            gateway.kill()?;
            forget(gateway)?;
            gateway
                .configure(&(gateway.default_config() + "\n[flows]\nipv4 = 1000\nipv6 = 500\n"))?;
            gateway.start()
        }
    }
}

/// What takes more than once, until it shows.
fn again(lab: &Lab, act: Act) -> Result<()> {
    match act {
        Flood => play(lab, act),
        _ => Ok(()),
    }
}

/// Sends datagrams from who opens a line to who answers, at another port perhaps.
fn say(lab: &Lab, name: &str, port: Option<u16>, datagrams: usize) -> Result<()> {
    let line = line(lab, name)?;
    let to = line.to.at(port.unwrap_or(line.talk.port));
    let send = || -> std::io::Result<()> {
        let socket = UdpSocket::bind(line.from.at(0))?;
        (0..datagrams).try_for_each(|_| socket.send_to(b"hello", to).map(drop))
    };
    line.from.run(send)?.map_err(|source| Error::Io {
        what: format!("sending to {to}"),
        source,
    })
}

fn cable(gateway: &Gateway, to: &str) -> Result<()> {
    let set = gateway.node().exec(&["ip", "link", "set", "eth1", to])?;
    assert!(set.success(), "{}", set.stderr);
    Ok(())
}

/// No packet that a posture forbids is ever counted: so the kernel's counter is moved by hand.
fn leak(gateway: &Gateway, rule: &str) -> Result<()> {
    let pinned = |name: &str| {
        let pin = gateway.pins().join("cordon").join(name);
        let data = MapData::from_pin(pin).expect("is pinned");
        Map::from_map_data(data).expect("is a map")
    };
    let control: Array<_, u64> = pinned("CONTROL").try_into().expect("an array");
    let control = Control::unpack(control.get(&0, 0).expect("reads"));
    let policy = cordon_policy::load(gateway.policy())
        .expect("is in order")
        .policy;
    let index = policy.rules.iter().position(|known| known.name == rule);
    let number = cordon_compile::rule_number(index.expect("there is such a rule"));
    let mut counters: PerCpuArray<_, [u64; 2]> =
        pinned("RULE_COUNTERS").try_into().expect("an array");
    let key = rule_index(control.slot, number);
    let mut values = counters.get(&key, 0).expect("reads").to_vec();
    values[0] = values[0].map(|count| count + 1);
    let values = PerCpuValues::try_from(values).expect("one for each processor");
    counters.set(key, values, 0).expect("writes");
    Ok(())
}

#[test]
fn prometheus_scrapes_the_gateway() -> Result<()> {
    let lab = hospital::raise()?;
    let gateway = lab.gateway();
    gateway.start_with_policy()?;
    let directory = lab.directory().join("prometheus");
    let config = directory.join("prometheus.yml");
    fs::create_dir_all(&directory).expect("makes the directory");
    fs::write(&config, PROMETHEUS).expect("writes the configuration");
    let config = format!("--config.file={}", config.display());
    let data = format!("--storage.tsdb.path={}", directory.join("data").display());
    let listen = format!("--web.listen-address=127.0.0.1:{PORT}");
    let mut prometheus = gateway
        .node()
        .spawn(&["prometheus", &config, &data, &listen])?;
    prometheus.wait_for("Server is ready", PATIENCE)?;

    shows(gateway, "up{job=\"cordon\"}", 1.0)?;
    shows(gateway, "cordon_posture{scope=\"site\"}", 0.0)?;
    shows(gateway, "cordon_policy_devices", 10.0)?;
    shows(gateway, "sum(cordon_port_up)", 2.0)?;
    quarantine(gateway, Posture::Contain)?;
    shows(gateway, "cordon_posture{scope=\"site\"}", 2.0)?;
    shows(gateway, "cordon_order_seconds_count", 1.0)?;
    shows(
        gateway,
        "cordon_packets_forbidden_after_acknowledgement_total",
        0.0,
    )?;

    // Prometheus notices a daemon that is gone.
    gateway.kill()?;
    shows(gateway, "up{job=\"cordon\"}", 0.0)?;
    gateway.start()?;
    shows(gateway, "up{job=\"cordon\"}", 1.0)?;
    shows(gateway, "cordon_posture{scope=\"site\"}", 2.0)
}

const PORT: u16 = 9090;

const PROMETHEUS: &str = "\
global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs:
  - job_name: cordon
    static_configs: [{targets: ['127.0.0.1:9469']}]
";

/// Waits until a query has one answer, and that is this value.
fn shows(gateway: &Gateway, query: &str, value: f64) -> Result<()> {
    wait_until(&format!("{query} is {value}"), || {
        let answer = ask(gateway, query)?;
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        let found = answer["data"]["result"].as_array().map(Vec::as_slice);
        let Some([only]) = found else {
            return Ok(false);
        };
        let text = only["value"][1].as_str().unwrap_or_default();
        Ok(text.parse() == Ok(value))
    })
}

/// Asks Prometheus' own API.
fn ask(gateway: &Gateway, query: &str) -> Result<Value> {
    let encoded: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let ask = || -> std::io::Result<String> {
        let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, PORT))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        write!(socket, "GET /api/v1/query?query={encoded} HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = gateway.node().run(ask)?.expect("Prometheus answers");
    let (_, body) = answer.split_once("\r\n\r\n").expect("an answer of HTTP");
    Ok(serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}")))
}

#[test]
fn promtool_has_nothing_to_complain_of() -> Result<()> {
    let lab = hospital::raise()?;
    let gateway = lab.gateway();
    gateway.start()?;
    check_metrics(&gateway.metrics()?);
    gateway.apply()?;
    line(&lab, "images")?
        .flows(1, Duration::from_millis(20))
        .start()?
        .established(PATIENCE)?;
    quarantine(gateway, Posture::Contain)?;
    check_metrics(&gateway.metrics()?);
    Ok(())
}

fn check_metrics(text: &str) {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool, of Debian's package prometheus, is installed");
    let mut stdin = promtool.stdin.take().expect("is piped");
    stdin.write_all(text.as_bytes()).expect("reads it");
    drop(stdin);
    let output = promtool.wait_with_output().expect("ends");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.is_empty(), "{said}\n{text}");
}
