//! A study of several hundred megabytes from a scanner to a real archive, with the site closed in the middle of it.

use std::fs;
use std::net::SocketAddr;

use cordon_integration::programs::dicom::Study;
use cordon_integration::programs::{counted, must, plan, serve};
use cordon_integration::steps::{PATIENCE, posture, quarantine, wait_until};
use cordon_lab::{Lab, Result};
use cordon_policy::Posture;
use serde_json::{Value, json};

const IMAGES: usize = 36;
/// What has been sent when the site is closed.
const SOME: f64 = 50e6;

#[test]
fn a_study_is_archived_whole_while_the_site_is_closed() -> Result<()> {
    let lab = Lab::raise(plan()?)?;
    lab.gateway().start_with_policy()?;
    let (ct, pacs) = (lab.host("ct-1")?, lab.host("pacs")?);
    let study = Study::make(&ct, lab.directory(), IMAGES)?;
    assert!(study.size() > 300_000_000);

    let config = lab.directory().join("orthanc.json");
    let storage = lab.directory().join("archive");
    let settings = json!({
        "Name": "pacs",
        "StorageDirectory": storage, "IndexDirectory": storage,
        "DicomPort": 104, "DicomAet": "PACS", "DicomCheckCalledAet": true, "DicomAlwaysAllowStore": true,
        "HttpPort": 8042, "RemoteAccessAllowed": false, "AuthenticationEnabled": false,
        "Plugins": [],
    });
    fs::write(&config, settings.to_string()).expect("writes");
    let config = config.display().to_string();
    let _archive = serve(&pacs, &["Orthanc", &config], pacs.at(104))?;
    let ask = |path: &str| -> Result<Value> {
        let url = format!("http://127.0.0.1:8042{path}");
        let said = must(&pacs, &["curl", "--silent", "--fail", &url])?;
        Ok(serde_json::from_str(&said).expect("Orthanc speaks JSON"))
    };

    let (address, directory) = (pacs.ip().to_string(), study.directory.display().to_string());
    let mut scanner = ct.spawn(&[
        "storescu",
        "--scan-directories",
        "--aetitle",
        "CT",
        "--call",
        "PACS",
        &address,
        "104",
        &directory,
    ])?;
    let sent = "cordon_rule_bytes_total{rule=\"ct-to-pacs\"}";
    wait_until("some of it has been sent", || {
        Ok(counted(&lab, sent)? > SOME)
    })?;
    quarantine(lab.gateway(), Posture::Lockdown)?;
    assert!(
        scanner.is_running()?,
        "it was to be closed while the study was being sent"
    );
    let ended = scanner.wait(PATIENCE)?;
    assert!(ended.success(), "{}{}", ended.stdout, ended.stderr);
    assert_eq!(posture(lab.gateway())?, Posture::Lockdown);
    assert!(counted(&lab, sent)? > study.size() as f64);

    let instances = ask("/instances?expand")?;
    let instances = instances.as_array().expect("a list");
    assert_eq!(instances.len(), IMAGES);
    let file = lab.directory().join("received.raw");
    let received = file.display().to_string();
    for (instance, pixels) in &study.images {
        let is_it = |known: &&Value| known["MainDicomTags"]["SOPInstanceUID"] == instance.as_str();
        let known = instances.iter().find(is_it);
        let known = known.unwrap_or_else(|| panic!("{instance} is not there"));
        let id = known["ID"].as_str().expect("a name");
        let url = format!("http://127.0.0.1:8042/instances/{id}/frames/0/raw");
        must(
            &pacs,
            &["curl", "--silent", "--fail", "--output", &received, &url],
        )?;
        assert!(
            fs::read(&file).expect("was received") == *pixels,
            "{instance} is another"
        );
    }

    // Nobody else gets anywhere near it.
    let guest = lab.host("guest")?;
    let port = SocketAddr::new(pacs.ip(), 104);
    assert!(!guest.connects(port, std::time::Duration::from_secs(2))?);
    Ok(())
}
