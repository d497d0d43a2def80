//! The far end of a carrier's link with two VLAN tags. It sends and receives raw frames, because no interface here has
//! two tags.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cordon_integration::recorder::Recorder;
use cordon_lab::{Lab, Mac, Result};

/// The switch's end of the gateway's link to the core.
const LINE: &str = "gw-core";
const MAC: Mac = Mac([0x02, 0x00, 0x5e, 0x43, 0x00, 0x01]);
const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 43, 0, 1);

/// The tags of a frame: types and VLANs, outer and inner.
pub type Tags = [(u16, u16); 2];

/// A host at the carrier's end, which answers ARP and echo requests.
pub struct Carrier<'a> {
    lab: &'a Lab,
    recorder: Recorder,
}

impl Carrier<'_> {
    /// Starts to record.
    pub fn listen(lab: &Lab) -> Result<Carrier<'_>> {
        let file = lab.directory().join("carrier.pcap");
        let recorder = Recorder::start(lab.switch(), LINE, &file)?;
        Ok(Carrier { lab, recorder })
    }

    /// The frames recorded so far, with all their tags.
    pub fn frames(&self) -> Vec<Vec<u8>> {
        self.recorder.frames()
    }

    /// Answers for a router and all hosts on its far side until `stop` is set. Answers have these tags, regardless of
    /// the request's.
    pub fn answer(&self, tags: Tags, stop: &AtomicBool) -> Result<()> {
        let mut done = self.frames().len();
        while !stop.load(Ordering::Relaxed) {
            let frames = self.frames();
            for frame in &frames[done..] {
                if let Some(answer) = answer(frame, tags) {
                    self.lab.switch().send_frames(LINE, &[answer])?;
                }
            }
            done = frames.len();
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }
}

/// The tags of a frame with two tags, and the rest from the EtherType on; none for other frames.
pub fn split_tags(frame: &[u8]) -> Option<(Tags, &[u8])> {
    let word = |at: usize| Some(u16::from_be_bytes([*frame.get(at)?, *frame.get(at + 1)?]));
    let tag = |at: usize| Some((word(at)?, word(at + 2)? & 0xfff));
    let tags = [tag(12)?, tag(16)?];
    let is_tag = |kind: u16| kind == 0x8100 || kind == 0x88a8;
    (is_tag(tags[0].0) && is_tag(tags[1].0)).then(|| (tags, &frame[20..]))
}

/// The answer to an ARP request for the router, or to an echo request to any host.
fn answer(frame: &[u8], tags: Tags) -> Option<Vec<u8>> {
    let (_, request) = split_tags(frame)?;
    let requester = &frame[6..12];
    let mut answer = [requester, &MAC.0].concat();
    for (kind, vlan) in tags {
        answer.extend(kind.to_be_bytes());
        answer.extend(vlan.to_be_bytes());
    }
    match request {
        [8, 6, rest @ ..] if rest[7] == 1 && rest[24..28] == ROUTER.octets() => {
            answer.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 2]);
            answer.extend(MAC.0);
            answer.extend(ROUTER.octets());
            answer.extend(requester);
            answer.extend(&rest[14..18]);
        }
        [8, 0, 0x45, rest @ ..] if rest[8] == 1 && rest[19] == 8 => {
            let mut echo = request.to_vec();
            let ips = [&echo[18..22], &echo[14..18]].concat();
            echo[14..22].copy_from_slice(&ips);
            // The type changes from 8 to 0, so the one's complement checksum grows by 0x0800.
            echo[22] = 0;
            let checksum = u16::from_be_bytes([echo[24], echo[25]]);
            let (sum, carry) = checksum.overflowing_add(0x0800);
            echo[24..26].copy_from_slice(&(sum + u16::from(carry)).to_be_bytes());
            answer.extend(echo);
        }
        _ => return None,
    }
    Some(answer)
}
