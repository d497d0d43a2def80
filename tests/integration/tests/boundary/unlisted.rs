//! An address that is not listed is no member of a segment that lists all its members, wherever it is seen from.

use cordon_lab::Result;
use cordon_policy::Posture;

use crate::frames::{ACK, SYN, tagged, tcp};
use crate::site::{self, ACCESS, IMAGING, ROUTER, ULTRASOUND, UPLINK, end, ip};

const DICOM: u16 = 104;

/// A connection from an ultrasound scanner to an address of the workstations' subnet: whether the request and the answer
/// pass.
fn connection(accounts: &cordon_integration::accounts::Accounts, host: u8) -> Result<[bool; 2]> {
    let (scanner, station) = (
        end(ip(21, 21), 4000 + u16::from(host)),
        end(ip(23, host), DICOM),
    );
    let (ether_type, request) = tcp(scanner, station, SYN);
    let request = tagged(ROUTER, ULTRASOUND, IMAGING, ether_type, &request);
    let (_, answer) = tcp(station, scanner, SYN | ACK);
    let answer = tagged(ULTRASOUND, ROUTER, IMAGING, ether_type, &answer);
    let out = accounts.send(ACCESS, &[request])?;
    let back = accounts.send(UPLINK, &[answer])?;
    println!("10.23.0.{host}: out: {out}; back: {back}");
    out.check(1);
    back.check(1);
    Ok([out.at(UPLINK).len() == 1, back.at(ACCESS).len() == 1])
}

#[test]
fn an_unlisted_address_at_the_core_is_no_workstation() -> Result<()> {
    let accounts = site::raise(&[])?;
    site::close(&accounts, Posture::Contain)?;
    // The scanner has been heard, and may send to listed workstations.
    assert_eq!(
        connection(&accounts, 12)?,
        [true, true],
        "a listed workstation"
    );
    assert_eq!(
        connection(&accounts, 77)?,
        [false, false],
        "an unlisted address"
    );
    Ok(())
}
