//! The tc program on a port's ingress. It makes copies one by one, and drops every other frame that the XDP program passes
//! on, which would otherwise reach the host's own stack.
//!
//! It is attached by netlink, not as a link: kernels before 6.6 have no other way, and it stays when the daemon exits.

use aya::programs::links::Link as _;
use aya::programs::tc::{
    NlOptions, SchedClassifierLink, TcAttachOptions, TcError, TcHandle, qdisc_add_clsact,
};
use aya::programs::{ProgramError, SchedClassifier, TcAttachType};

use crate::error::Error;

/// Runs before every other filter.
const PRIORITY: u16 = 1;
/// "CORD": tells our filter from those of other programs.
const HANDLE: TcHandle = TcHandle::new(0x434f, 0x5244);

/// Attaches the program to an interface, or replaces another build of it between two packets.
///
/// # Errors
/// [`Error::Link`] with a remedy if one is known.
pub fn attach(program: &mut SchedClassifier, nic: &str) -> Result<(), Error> {
    let failed = |why: String| Error::Link {
        nic: nic.to_owned(),
        what: "attaching the tc program",
        why,
    };
    match qdisc_add_clsact(nic) {
        Ok(()) => {}
        Err(error) if is(&error, libc::EEXIST) => {}
        Err(error) => return Err(failed(remedy(error.to_string(), &error))),
    }
    let old = link(nic).map_err(|error| failed(error.to_string()))?;
    let options = TcAttachOptions::Netlink(NlOptions {
        priority: PRIORITY,
        handle: HANDLE,
        classid: None,
    });
    let replaced = program.attach_to_link(old);
    let id = match replaced {
        Ok(id) => id,
        // There is no filter to replace.
        Err(_) => program
            .attach_with_options(nic, TcAttachType::Ingress, options)
            .map_err(|error| match &error {
                ProgramError::TcError(inner) => failed(remedy(error.to_string(), inner)),
                _ => failed(error.to_string()),
            })?,
    };
    let link = program
        .take_link(id)
        .map_err(|error| failed(error.to_string()))?;
    // Dropping the link would detach the program, which is to outlive the process.
    std::mem::forget(link);
    Ok(())
}

/// Detaches the program from an interface. Does nothing if there is no program or no such interface.
pub fn detach(nic: &str) {
    if let Ok(link) = link(nic) {
        let _ = link.detach();
    }
}

/// A handle to our filter on an interface, whether or not it exists.
fn link(nic: &str) -> Result<SchedClassifierLink, std::io::Error> {
    SchedClassifierLink::attached(nic, TcAttachType::Ingress, PRIORITY, HANDLE, None)
}

fn is(error: &TcError, number: i32) -> bool {
    matches!(error, TcError::NetlinkError(error) if error.raw_os_error() == Some(number))
}

fn remedy(text: String, error: &TcError) -> String {
    match is(error, libc::ENOENT) || is(error, libc::EOPNOTSUPP) {
        true => format!(
            "{text}: this kernel lacks sch_ingress or cls_bpf (modprobe sch_ingress cls_bpf)"
        ),
        false => text,
    }
}
