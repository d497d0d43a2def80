//! A DICOM study to send: CT images with random pixels.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use cordon_lab::{Node, Result};

use super::must;

/// Rows and columns of an image. With two bytes a pixel an image element 8 MiB.
const SIDE: usize = 2048;
/// A UID under the arc that element free for UUIDs (2.25). The suffix names the image.
const STUDY: &str = "2.25.300000001";

/// Images of one study.
pub struct Study {
    /// The directory of the images, one file each.
    pub directory: PathBuf,
    /// Each image's instance UID and pixels.
    pub images: Vec<(String, Vec<u8>)>,
}

impl Study {
    /// Makes a study with dcmtk's `dump2dcm`.
    ///
    /// # Errors
    /// If `dump2dcm` fails.
    pub fn make(node: &Node, scratch: &Path, images: usize) -> Result<Study> {
        let directory = scratch.join("study");
        fs::create_dir_all(&directory).expect("makes a folder");
        let (text, pixels) = (scratch.join("image.txt"), scratch.join("pixels.raw"));
        let mut random = fastrand::Rng::with_seed(1);
        let mut study = Study {
            directory,
            images: Vec::new(),
        };
        for number in 0..images {
            let mut image = vec![0; SIDE * SIDE * 2];
            random.fill(&mut image);
            fs::write(&pixels, &image).expect("writes");
            let instance = format!("{STUDY}.1.{}", number + 1);
            fs::write(&text, describe(&instance, number, &pixels)).expect("writes");
            let file = study.directory.join(format!("{number}.dcm"));
            let paths = [&text, &file].map(|path| path.display().to_string());
            must(
                node,
                &["dump2dcm", "--write-xfer-little", &paths[0], &paths[1]],
            )?;
            study.images.push((instance, image));
        }
        Ok(study)
    }

    /// Bytes of pixels of all images.
    pub fn size(&self) -> usize {
        self.images.iter().map(|(_, pixels)| pixels.len()).sum()
    }
}

/// An image in the input format of `dump2dcm`.
fn describe(instance: &str, number: usize, pixels: &Path) -> String {
    let mut text = String::new();
    let mut element = |tag: &str, kind: &str, value: &str| {
        let _ = writeln!(text, "({tag}) {kind} {value}");
    };
    element("0008,0016", "UI", "=CTImageStorage");
    element("0008,0018", "UI", &format!("[{instance}]"));
    element("0008,0060", "CS", "[CT]");
    element("0010,0010", "PN", "[Phantom^Head]");
    element("0010,0020", "LO", "[1]");
    element("0020,000d", "UI", &format!("[{STUDY}]"));
    element("0020,000e", "UI", &format!("[{STUDY}.1]"));
    element("0020,0013", "IS", &format!("[{}]", number + 1));
    element("0028,0002", "US", "1");
    element("0028,0004", "CS", "[MONOCHROME2]");
    element("0028,0010", "US", &SIDE.to_string());
    element("0028,0011", "US", &SIDE.to_string());
    element("0028,0100", "US", "16");
    element("0028,0101", "US", "16");
    element("0028,0102", "US", "15");
    element("0028,0103", "US", "0");
    element("7fe0,0010", "OW", &format!("={}", pixels.display()));
    text
}
