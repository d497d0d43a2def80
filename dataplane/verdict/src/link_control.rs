//! Link-control protocols, which bridges do not forward (IEEE 802.1Q §8.6.3), and PTP. Their frames cross unchanged
//! between ports that are both set to let the protocol pass.

use crate::abi::{Control, PortSetting, SEVER};
use crate::frame::Frame;
use crate::reason::Reason;
use crate::tables::Tables;

/// The protocol's bit in [`PortSetting::link_control`]; 0 for a protocol that never crosses.
#[inline(always)]
fn protocol<F: Frame>(frame: &F) -> Result<u32, Reason> {
    let destination = frame.u64(0).ok_or(Reason::Truncated)? >> 16;
    let ether_type = frame.u16(12).ok_or(Reason::Truncated)?;
    let llc = frame.u16(14).unwrap_or(0);
    let timing = matches!(destination, PTP_FORWARDED | PTP_LINK);
    Ok(match (destination & 0xff, ether_type) {
        (0x00, 0..=1500) if llc == 0x4242 => PortSetting::STP,
        (0x02, 0x8809) => PortSetting::LACP,
        (0x00 | 0x03 | 0x0e, 0x888e) => PortSetting::EAPOL,
        (0x00 | 0x03 | 0x0e, 0x88cc) => PortSetting::LLDP,
        (_, PTP) if timing => PortSetting::PTP,
        _ => 0,
    })
}

/// PTP over Ethernet (IEEE 1588 annex E).
pub const PTP: u16 = 0x88f7;
/// Its two addresses: one that bridges forward, and one for the other end of the link.
const PTP_FORWARDED: u64 = 0x011b_1900_0000;
const PTP_LINK: u64 = 0x0180_c200_000e;

/// Whether a port is set to let a link-control frame in, or out.
///
/// # Errors
/// [`Reason::LinkControl`] if it is not; [`Reason::Posture`] where the site is severed.
#[inline(always)]
pub fn crosses<F: Frame, T: Tables>(
    frame: &F,
    tables: &T,
    control: Control,
    port: u16,
) -> Result<(), Reason> {
    let protocol = protocol(frame)?;
    if tables.port(control.slot, port).link_control & protocol == 0 {
        return Err(Reason::LinkControl);
    }
    if control.posture >= SEVER {
        return Err(Reason::Posture);
    }
    Ok(())
}
