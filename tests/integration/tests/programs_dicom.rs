//! A study of 300 MB is sent to a real archive while the site goes into lockdown.

use std::fs;
use std::net::SocketAddr;

use cordon_integration::programs::dicom::Study;
use cordon_integration::programs::{metric, must, plan, serve};
use cordon_integration::steps::{PATIENCE, posture, quarantine, wait_until};
use cordon_lab::{Lab, Result};
use cordon_policy::Posture;
use serde_json::{Value, json};

const IMAGES: usize = 36;
/// Bytes that have been sent when the site goes into lockdown.
const SOME: f64 = 50e6;

#[test]
fn a_study_is_archived_completely_during_a_lockdown() -> Result<()> {
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
    fs::write(&config, settings.to_string()).expect("the configuration is written");
    let config = config.display().to_string();
    let _archive = serve(&pacs, &["Orthanc", &config], pacs.at(104))?;
    let query = |path: &str| -> Result<Value> {
        let url = format!("http://127.0.0.1:8042{path}");
        let answer = must(&pacs, &["curl", "--silent", "--fail", &url])?;
        Ok(serde_json::from_str(&answer).expect("Orthanc answers with JSON"))
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
    wait_until("part of the study has been sent", || {
        Ok(metric(&lab, sent)? > SOME)
    })?;
    quarantine(lab.gateway(), Posture::Lockdown)?;
    assert!(
        scanner.is_running()?,
        "the study was already sent at the lockdown"
    );
    let ended = scanner.wait(PATIENCE)?;
    assert!(ended.success(), "{}{}", ended.stdout, ended.stderr);
    assert_eq!(posture(lab.gateway())?, Posture::Lockdown);
    assert!(metric(&lab, sent)? > study.size() as f64);

    let instances = query("/instances?expand")?;
    let instances = instances.as_array().expect("a list");
    assert_eq!(instances.len(), IMAGES);
    let file = lab.directory().join("received.raw");
    let received = file.display().to_string();
    for (instance, pixels) in &study.images {
        let is_instance =
            |archived: &&Value| archived["MainDicomTags"]["SOPInstanceUID"] == instance.as_str();
        let archived = instances.iter().find(is_instance);
        let archived = archived.unwrap_or_else(|| panic!("{instance} is not in the archive"));
        let id = archived["ID"].as_str().expect("the instance has an ID");
        let url = format!("http://127.0.0.1:8042/instances/{id}/frames/0/raw");
        must(
            &pacs,
            &["curl", "--silent", "--fail", "--output", &received, &url],
        )?;
        assert!(
            fs::read(&file).expect("the image was downloaded") == *pixels,
            "{instance} differs"
        );
    }

    // Other hosts cannot connect to the archive.
    let guest = lab.host("guest")?;
    let port = SocketAddr::new(pacs.ip(), 104);
    assert!(!guest.connects(port, std::time::Duration::from_secs(2))?);
    Ok(())
}
