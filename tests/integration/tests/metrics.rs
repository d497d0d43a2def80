//! Metrics: Prometheus scrapes them, promtool accepts them, and each one changes when it should.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::time::Duration;

use aya::maps::{Array, Map, MapData, PerCpuArray, PerCpuValues};
use cordon_integration::exposition::Exposition;
use cordon_integration::hospital::{self, test_flow};
use cordon_integration::steps::{
    PATIENCE, quarantine, release, simulate_reboot, variant, wait_until,
};
use cordon_lab::{Error, Gateway, Lab, Result};
use cordon_policy::Posture;
use cordon_verdict::abi::{Control, rule_index};
use serde_json::Value;

/// Actions on the gateway, in the order in which they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// Devices open allowed flows.
    Talk,
    /// A device opens an allowed flow that is not answered.
    OpenUnanswered,
    /// A device sends a datagram that no rule allows.
    Stray,
    /// A device sends many datagrams that no rule allows.
    Flood,
    /// The site is quarantined.
    Quarantine,
    /// The kernel's counter of a packet that the quarantine forbids is increased.
    Leak,
    /// The quarantine is released.
    Release,
    /// The gateway removes closed connections.
    Wait,
    /// A larger policy is applied, with a port whose interface is missing.
    Apply,
    /// A policy is applied with a commit-confirm timeout.
    CommitConfirm,
    /// A port loses its link.
    Unplug,
    /// The data plane is reloaded with smaller flow tables.
    Reload,
}

/// The expected change of a series.
#[derive(Clone, Copy, Debug)]
enum Effect {
    Rises,
    Falls,
    Changes,
    Is(f64),
}

use Action::{
    Apply, CommitConfirm, Flood, Leak, OpenUnanswered, Quarantine, Release, Reload, Stray, Talk,
    Unplug, Wait,
};
use Effect::{Changes, Falls, Is, Rises};

const ACTIONS: [Action; 12] = [
    Talk,
    OpenUnanswered,
    Stray,
    Flood,
    Quarantine,
    Leak,
    Release,
    Wait,
    Apply,
    CommitConfirm,
    Unplug,
    Reload,
];

/// The action that changes each metric. An exposed metric that is missing here fails the test.
const TABLE: &[(&str, Action, Effect)] = &[
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
    ("cordon_flows{state=\"established\"}", Talk, Rises),
    ("cordon_flows{state=\"half-open\"}", OpenUnanswered, Rises),
    ("cordon_flows_removed_total", Wait, Rises),
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
    ("cordon_policy_unconfirmed", CommitConfirm, Is(1.0)),
    (
        "cordon_port_up{port=\"access0\",device=\"eth1\"}",
        Unplug,
        Falls,
    ),
];

/// Metrics that do not change while the daemon runs, with the reason.
const FIXED: &[(&str, &str)] = &[("cordon_build_info", "its labels describe the build")];

#[test]
fn every_metric_changes_when_it_should() -> Result<()> {
    let lab = hospital::raise()?;
    let gateway = lab.gateway();
    gateway.start_with_policy()?;
    for action in ACTIONS {
        let before = scrape(gateway)?;
        let rows: Vec<_> = TABLE
            .iter()
            .filter(|(_, when, _)| *when == action)
            .collect();
        assert!(!rows.is_empty(), "{action:?} is not in the table");
        for (series, _, _) in &rows {
            assert!(before.value(series).is_some(), "there is no {series}");
        }
        perform(&lab, action)?;
        let mut waiting = Vec::new();
        wait_until(&format!("{action:?} changes {rows:?}"), || {
            let after = scrape(gateway)?;
            waiting = rows
                .iter()
                .filter(|(series, _, effect)| !has_changed(&before, &after, series, *effect))
                .map(|row| row.0)
                .collect();
            if !waiting.is_empty() {
                repeat(&lab, action)?;
            }
            Ok(waiting.is_empty())
        })?;
    }

    let scraped = scrape(gateway)?;
    let known = |family: &str| {
        let in_table = TABLE
            .iter()
            .any(|(series, _, _)| family_of(series) == family);
        in_table || FIXED.iter().any(|(name, _)| *name == family)
    };
    for family in scraped.kind.keys() {
        let help = scraped.help.get(family).map_or("", String::as_str);
        assert!(
            help.len() > 10 && help.ends_with('.'),
            "{family} has no help text: {help:?}"
        );
        assert!(
            !family.starts_with("cordon_") || known(family),
            "{family} is missing in the table"
        );
    }
    Ok(())
}

/// The metric of a series.
fn family_of(series: &str) -> &str {
    let name = series.split('{').next().unwrap_or(series);
    match name.strip_suffix("_count").or(name.strip_suffix("_sum")) {
        Some(histogram) => histogram,
        None => name,
    }
}

fn has_changed(before: &Exposition, after: &Exposition, series: &str, effect: Effect) -> bool {
    let (Some(before), Some(after)) = (before.value(series), after.value(series)) else {
        return false;
    };
    match effect {
        Rises => after > before,
        Falls => after < before,
        Changes => after != before,
        Is(value) => after == value && before != value,
    }
}

fn scrape(gateway: &Gateway) -> Result<Exposition> {
    Ok(Exposition::read(&gateway.metrics()?))
}

fn perform(lab: &Lab, action: Action) -> Result<()> {
    let gateway = lab.gateway();
    match action {
        Talk => {
            let flows = test_flow(lab, "images")?
                .flows(5, Duration::from_millis(20))
                .start()?;
            flows.established(PATIENCE)?;
            flows.stop().map(drop)
        }
        OpenUnanswered => send(lab, "vitals", None, 1),
        Stray => send(lab, "vitals", Some(9), 1),
        Flood => send(lab, "vitals", Some(9), 1000),
        Quarantine => quarantine(gateway, Posture::Contain),
        Leak => leak(gateway, "stations-to-records"),
        Release => release(gateway),
        Wait => Ok(()),
        Action::Apply => {
            // The tables have spare capacity for a thousand devices: these require larger ones.
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
        CommitConfirm => gateway
            .must(&[
                "apply",
                &gateway.policy().display().to_string(),
                "--confirm",
                "1h",
            ])
            .map(drop),
        Unplug => set_link(gateway, "down"),
        Reload => {
            set_link(gateway, "up")?;
            gateway.kill()?;
            simulate_reboot(gateway)?;
            gateway
                .configure(&(gateway.default_config() + "\n[flows]\nipv4 = 1000\nipv6 = 500\n"))?;
            gateway.start()
        }
    }
}

/// Repeats an action that may need several rounds to show.
fn repeat(lab: &Lab, action: Action) -> Result<()> {
    match action {
        Flood => perform(lab, action),
        _ => Ok(()),
    }
}

/// Sends datagrams from the client of a flow to its server, to the flow's port or another one.
fn send(lab: &Lab, name: &str, port: Option<u16>, datagrams: usize) -> Result<()> {
    let flow = test_flow(lab, name)?;
    let to = flow.to.at(port.unwrap_or(flow.spec.port));
    let send_all = || -> std::io::Result<()> {
        let socket = UdpSocket::bind(flow.from.at(0))?;
        (0..datagrams).try_for_each(|_| socket.send_to(b"hello", to).map(drop))
    };
    flow.from.run(send_all)?.map_err(|source| Error::Io {
        what: format!("sending to {to}"),
        source,
    })
}

fn set_link(gateway: &Gateway, to: &str) -> Result<()> {
    let set = gateway.node().exec(&["ip", "link", "set", "eth1", to])?;
    assert!(set.success(), "{}", set.stderr);
    Ok(())
}

/// Increases the kernel's counter of a rule directly: a working gateway never forwards a packet that a posture forbids.
fn leak(gateway: &Gateway, rule: &str) -> Result<()> {
    let pinned = |name: &str| {
        let pin = gateway.pins().join("cordon").join(name);
        let data = MapData::from_pin(pin).expect("the map is pinned");
        Map::from_map_data(data).expect("the pin is a map")
    };
    let control: Array<_, u64> = pinned("CONTROL").try_into().expect("the map is an array");
    let control = Control::unpack(control.get(&0, 0).expect("the map can be read"));
    let policy = cordon_policy::load(gateway.policy())
        .expect("the policy is valid")
        .policy;
    let index = policy.rules.iter().position(|known| known.name == rule);
    let number = cordon_compile::rule_number(index.expect("there is such a rule"));
    let mut counters: PerCpuArray<_, [u64; 2]> = pinned("RULE_COUNTERS")
        .try_into()
        .expect("the map is an array");
    let key = rule_index(control.slot, number);
    let mut values = counters.get(&key, 0).expect("the map can be read").to_vec();
    values[0] = values[0].map(|count| count + 1);
    let values = PerCpuValues::try_from(values).expect("there is a value for each CPU");
    counters
        .set(key, values, 0)
        .expect("the map can be written");
    Ok(())
}

#[test]
fn prometheus_scrapes_the_gateway() -> Result<()> {
    let lab = hospital::raise()?;
    let gateway = lab.gateway();
    gateway.start_with_policy()?;
    let directory = lab.directory().join("prometheus");
    let config = directory.join("prometheus.yml");
    fs::create_dir_all(&directory).expect("the directory is created");
    fs::write(&config, PROMETHEUS).expect("the configuration is written");
    let config = format!("--config.file={}", config.display());
    let data = format!("--storage.tsdb.path={}", directory.join("data").display());
    let listen = format!("--web.listen-address=127.0.0.1:{PORT}");
    let mut prometheus = gateway
        .node()
        .spawn(&["prometheus", &config, &data, &listen])?;
    prometheus.wait_for("Server is ready", PATIENCE)?;

    wait_for_value(gateway, "up{job=\"cordon\"}", 1.0)?;
    wait_for_value(gateway, "cordon_posture{scope=\"site\"}", 0.0)?;
    wait_for_value(gateway, "cordon_policy_devices", 10.0)?;
    wait_for_value(gateway, "sum(cordon_port_up)", 2.0)?;
    quarantine(gateway, Posture::Contain)?;
    wait_for_value(gateway, "cordon_posture{scope=\"site\"}", 2.0)?;
    wait_for_value(gateway, "cordon_order_seconds_count", 1.0)?;
    wait_for_value(
        gateway,
        "cordon_packets_forbidden_after_acknowledgement_total",
        0.0,
    )?;

    // Prometheus reports a daemon that does not run.
    gateway.kill()?;
    wait_for_value(gateway, "up{job=\"cordon\"}", 0.0)?;
    gateway.start()?;
    wait_for_value(gateway, "up{job=\"cordon\"}", 1.0)?;
    wait_for_value(gateway, "cordon_posture{scope=\"site\"}", 2.0)
}

const PORT: u16 = 9090;

const PROMETHEUS: &str = "\
global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs:
  - job_name: cordon
    static_configs: [{targets: ['127.0.0.1:9469']}]
";

/// Waits until a query has a single result with this value.
fn wait_for_value(gateway: &Gateway, query: &str, value: f64) -> Result<()> {
    wait_until(&format!("{query} is {value}"), || {
        let answer = run_query(gateway, query)?;
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        let found = answer["data"]["result"].as_array().map(Vec::as_slice);
        let Some([only]) = found else {
            return Ok(false);
        };
        let text = only["value"][1].as_str().unwrap_or_default();
        Ok(text.parse() == Ok(value))
    })
}

/// Runs a query on Prometheus' API.
fn run_query(gateway: &Gateway, query: &str) -> Result<Value> {
    let encoded: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let request = || -> std::io::Result<String> {
        let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, PORT))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        write!(socket, "GET /api/v1/query?query={encoded} HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = gateway.node().run(request)?.expect("Prometheus answers");
    let (_, body) = answer.split_once("\r\n\r\n").expect("the answer is HTTP");
    Ok(serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}")))
}

#[test]
fn promtool_accepts_the_metrics() -> Result<()> {
    let lab = hospital::raise()?;
    let gateway = lab.gateway();
    gateway.start()?;
    check_metrics(&gateway.metrics()?);
    gateway.apply()?;
    test_flow(&lab, "images")?
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
        .expect("promtool (Debian package prometheus) is installed");
    let mut stdin = promtool.stdin.take().expect("standard input is piped");
    stdin
        .write_all(text.as_bytes())
        .expect("promtool reads its input");
    drop(stdin);
    let output = promtool.wait_with_output().expect("promtool ends");
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed);
    assert!(
        output.status.success() && printed.is_empty(),
        "{printed}\n{text}"
    );
}
