//! DICOM, by the programs of dcmtk.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use cordon_lab::{Host, Process};

use crate::hospital::Hospital;

/// The port of all DICOM servers.
pub const PORT: u16 = 104;

const EDGE: u16 = 512;
/// Bytes of an image's pixels: 12 bits in 16, as from a CT.
const PIXELS: usize = EDGE as usize * EDGE as usize * 2;
const ROOT: &str = "1.2.826.0.1.3680043.10.1337";
const TIMEOUT: Duration = Duration::from_secs(30);

/// All images of the demo.
#[derive(Default)]
pub struct Studies {
    /// CT to archive.
    pub ct: Study,
    /// CT to archive: large enough to be in transit when the site is cut off.
    pub emergency: Study,
    /// Ultrasound to workstation.
    pub ultrasound: Study,
    /// Ultrasound to workstation, while the site is cut off.
    pub during_quarantine: Study,
}

impl Studies {
    /// Makes the images.
    pub fn make(at: &Path) -> Result<Studies> {
        Ok(Studies {
            ct: Study::make(at, "CT", 1, 6)?,
            emergency: Study::make(at, "CT", 2, 24)?,
            ultrasound: Study::make(at, "US", 3, 4)?,
            during_quarantine: Study::make(at, "US", 4, 2)?,
        })
    }
}

/// The images of one study.
#[derive(Default)]
pub struct Study {
    slices: Vec<PathBuf>,
    modality: &'static str,
    number: u16,
}

impl Study {
    /// Makes a study with `dump2dcm`.
    pub fn make(at: &Path, modality: &'static str, number: u16, slices: u16) -> Result<Study> {
        let directory = at.join(format!("study-{number}"));
        fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
        let mut study = Study {
            slices: Vec::new(),
            modality,
            number,
        };
        for slice in 1..=slices {
            let file = |extension: &str| directory.join(format!("{slice:03}.{extension}"));
            let (raw, dump, image) = (file("raw"), file("dump"), file("dcm"));
            fs::write(&raw, phantom(number, slice))?;
            fs::write(&dump, header(&study, slice, &raw))?;
            let mut dump2dcm = Command::new("dump2dcm");
            let made = dump2dcm.args(["-q", "+te"]).args([&dump, &image]).output();
            let made = made.context("running dump2dcm")?;
            if !made.status.success() {
                bail!("dump2dcm: {}", String::from_utf8_lossy(&made.stderr));
            }
            fs::remove_file(&raw)?;
            fs::remove_file(&dump)?;
            study.slices.push(image);
        }
        Ok(study)
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.slices.len()
    }

    /// Bytes of all pixels.
    pub fn bytes(&self) -> u64 {
        (self.slices.len() * PIXELS) as u64
    }

    /// Starts to send the study, in one association.
    pub fn send(&self, from: &Host, to: &Host) -> Result<Process> {
        let (address, port) = (to.ip().to_string(), PORT.to_string());
        let mut line = vec!["storescu", "-xe", "-R", "-aet", "DEMO", "-to", "5"];
        line.extend([address.as_str(), port.as_str()]);
        let images = self.slices.iter().map(|image| image.to_str());
        let images: Option<Vec<&str>> = images.collect();
        line.extend(images.context("a file name is not UTF-8")?);
        Ok(from.spawn(&line)?)
    }

    /// Sends the study. Returns whether the receiver stored all of it, and the time that it took.
    pub fn delivered(&self, hospital: &Hospital, from: &str, to: &str) -> Result<(bool, Duration)> {
        let began = Instant::now();
        let mut sending = self.send(&hospital.host(from)?, &hospital.host(to)?)?;
        let ended = sending.wait(TIMEOUT)?;
        let took = began.elapsed();
        let stored = self.stored(&received_directory(hospital, to));
        Ok((ended.success() && stored == self.len(), took))
    }

    /// Number of images in a directory that equal those sent, in every pixel.
    pub fn stored(&self, directory: &Path) -> usize {
        let is_equal = |slice: &u16| {
            let name = format!("{}.{}", self.modality, instance(self.number, *slice));
            let image = fs::read(directory.join(name)).unwrap_or_default();
            image.ends_with(&phantom(self.number, *slice))
        };
        (1..=self.slices.len() as u16).filter(is_equal).count()
    }

    /// Number of images in a directory, including an incomplete one.
    pub fn arriving(&self, directory: &Path) -> usize {
        let exists = |slice: &u16| {
            let name = format!("{}.{}", self.modality, instance(self.number, *slice));
            directory.join(name).exists()
        };
        (1..=self.slices.len() as u16).filter(exists).count()
    }
}

/// The directory where a host stores the images it receives.
pub fn received_directory(hospital: &Hospital, host: &str) -> PathBuf {
    hospital.files().join(format!("arrived-{host}"))
}

/// Whether the other end answers a C-ECHO, and the time that it took.
pub fn echo(from: &Host, to: &Host) -> Result<(bool, Duration)> {
    let began = Instant::now();
    let address = to.ip().to_string();
    let line = [
        "echoscu", "-to", "3", "-ta", "5", "-td", "5", &address, "104",
    ];
    let output = from.exec(&line)?;
    Ok((output.success(), began.elapsed()))
}

fn instance(study: u16, slice: u16) -> String {
    format!("{ROOT}.{study}.1.{slice}")
}

fn header(study: &Study, slice: u16, pixels: &Path) -> String {
    let Study {
        modality, number, ..
    } = study;
    let class = match *modality {
        "CT" => "CTImageStorage",
        _ => "UltrasoundImageStorage",
    };
    format!(
        "(0008,0016) UI ={class}\n\
         (0008,0018) UI [{}]\n\
         (0008,0020) DA [20230803]\n\
         (0008,0030) TM [091500]\n\
         (0008,0060) CS [{modality}]\n\
         (0010,0010) PN [Demo^Patient]\n\
         (0010,0020) LO [4711]\n\
         (0020,000d) UI [{ROOT}.{number}]\n\
         (0020,000e) UI [{ROOT}.{number}.1]\n\
         (0020,0013) IS [{slice}]\n\
         (0028,0002) US 1\n\
         (0028,0004) CS [MONOCHROME2]\n\
         (0028,0010) US {EDGE}\n\
         (0028,0011) US {EDGE}\n\
         (0028,0100) US 16\n\
         (0028,0101) US 12\n\
         (0028,0102) US 11\n\
         (0028,0103) US 0\n\
         (7fe0,0010) OW ={}\n",
        instance(*number, slice),
        pixels.display()
    )
}

/// Pixels of a round phantom with a soft edge, different in every slice.
fn phantom(study: u16, slice: u16) -> Vec<u8> {
    let middle = i32::from(EDGE) / 2;
    let radius = 120 + i32::from(slice % 32) * 4;
    let mut pixels = Vec::with_capacity(PIXELS);
    for y in -middle..middle {
        for x in -middle..middle {
            let inside = (radius * radius - x * x - y * y).max(0);
            let grain = (x * 7 + y * 13 + i32::from(study)) & 0x3f;
            pixels.extend((((inside >> 4) + grain).min(4095) as u16).to_le_bytes());
        }
    }
    pixels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_differ_and_have_12_bit_pixels() {
        let [one, two] = [1, 2].map(|slice| phantom(1, slice));
        assert_eq!(one.len(), PIXELS);
        assert!(one != two);
        let brightest = one
            .chunks(2)
            .map(|pixel| u16::from_le_bytes([pixel[0], pixel[1]]));
        assert!(brightest.max() <= Some(4095));
    }
}
