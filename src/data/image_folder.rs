//! Folders of PNG and JPEG files: a plain one, or one as torchvision's `ImageFolder` reads it, a sub-folder a class. Images
//! are decoded when they are taken, and made as torchvision's `Resize`, `CenterCrop`, `ToTensor` and `Normalize` make them.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::{ColorType, DynamicImage, ImageDecoder, ImageFormat, ImageReader};

use super::normalization::Normalization;
use super::resample;
use crate::{Error, Result, parallel};

/// Endings of the files that are taken.
const TAKEN: [&str; 3] = ["png", "jpg", "jpeg"];
/// Endings of images in other formats, which torchvision takes as well.
const OTHERS: [&str; 6] = ["bmp", "pgm", "ppm", "tif", "tiff", "webp"];
/// Most bytes of a decoded image, of which a pixel counts as 4 at least: a small file can claim billions, and decoders and what is
/// made of an image take up to three times as many.
const MOST_BYTES: u64 = 1 << 28;
/// The marks in JPEG of the beginning of a scan and of the end of the image (ITU-T T.81, table B.1). Within a scan neither
/// stands, for there a zero follows each 0xff.
const SCAN: [u8; 2] = [0xff, 0xda];
const END: [u8; 2] = [0xff, 0xd9];

/// The files of a folder, in order, and what is made of them.
#[derive(Clone, Debug)]
pub(super) struct ImageFolder {
    files: Vec<PathBuf>,
    /// Images in formats that are not read.
    left_out: Vec<PathBuf>,
    size: usize,
    normalization: Normalization,
}

/// A decoded image, 3 x `size` x `size`, and how its file had it.
struct Decoded {
    planes: Vec<u8>,
    color: ColorType,
}

impl ImageFolder {
    /// Lists a folder: its images, or where it has none those of its sub-folders and theirs, files before folders, each
    /// sorted by name.
    pub(super) fn open(folder: &Path, size: usize, normalization: Normalization) -> Result<Self> {
        let mut images = ImageFolder { files: Vec::new(), left_out: Vec::new(), size, normalization };
        let classes = images.list(folder)?;
        if images.files.is_empty() {
            classes.iter().try_for_each(|class| images.list_all(class))?;
        }
        match (&images.files[..], images.left_out.first()) {
            ([], None) => Err(Error::data(folder, "holds no PNG or JPEG files, nor do its sub-folders")),
            ([], Some(other)) => {
                let message = format!("holds no PNG or JPEG files, but others: convert {}", other.display());
                Err(Error::data(folder, message))
            }
            _ => Ok(images),
        }
    }

    fn list_all(&mut self, folder: &Path) -> Result<()> {
        self.list(folder)?.iter().try_for_each(|inner| self.list_all(inner))
    }

    /// Adds the images of a folder, and returns its sub-folders. Hidden files are none.
    fn list(&mut self, folder: &Path) -> Result<Vec<PathBuf>> {
        let failed = |error| Error::io(folder, error);
        let (mut files, mut folders) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path = entry.path();
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let mut kind = entry.file_type().map_err(failed)?;
            if kind.is_symlink() {
                kind = fs::metadata(&path).map_err(|error| Error::io(&path, error))?.file_type();
            }
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                files.push(path);
            }
        }
        files.sort_unstable();
        folders.sort_unstable();
        for file in files {
            if has_ending(&file, &TAKEN) {
                self.files.push(file);
            } else if has_ending(&file, &OTHERS) {
                self.left_out.push(file);
            }
        }
        Ok(folders)
    }

    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    /// Height and width of an image.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Adds the normalized images at some positions; what is to be said of them, if anything.
    pub(super) fn read(&self, positions: Vec<usize>, data: &mut Vec<f32>) -> Result<Option<String>> {
        let decoded: Vec<Result<Decoded>> =
            parallel::map(positions, |position| self.decode(&self.files[position]));
        let (tables, plane) = (self.normalization.tables(), self.size * self.size);
        let mut colors = Vec::new();
        for image in decoded {
            let Decoded { planes, color } = image?;
            Normalization::apply(&planes, plane, &tables, data);
            colors.push(color);
        }
        Ok(self.remarks(&colors))
    }

    fn decode(&self, path: &Path) -> Result<Decoded> {
        let bytes = fs::read(path).map_err(|error| Error::io(path, error))?;
        let (image, color) = decode(&bytes).map_err(|message| Error::data(path, message))?;
        let sides = [image.width(), image.height()].map(|side| side as usize);
        let planes = resample::to_square(&rgb(image), sides, self.size);
        Ok(Decoded { planes, color })
    }

    /// What was converted of images that were of these colors, and what was left out.
    fn remarks(&self, colors: &[ColorType]) -> Option<String> {
        let count = |is: fn(&ColorType) -> bool| colors.iter().filter(|color| is(color)).count();
        let converted = [
            (count(|color| !color.has_color()), "of grey"),
            (count(|color| color.has_alpha()), "with alpha, which is dropped"),
            (count(|color| is_deep(*color)), "of 16 bits"),
        ];
        let converted: Vec<String> = converted
            .into_iter()
            .filter(|(images, _)| *images > 0)
            .map(|(images, what)| format!("{images} {what}"))
            .collect();
        let converted = (!converted.is_empty()).then(|| {
            format!("of {} images converted to RGB of 8 bits: {}", colors.len(), converted.join(", "))
        });
        let left_out = self.left_out.first().map(|first| {
            let more = match self.left_out.len() {
                1 => String::new(),
                files => format!(" and {} more", files - 1),
            };
            format!("left out, as neither PNG nor JPEG: {}{more}", first.display())
        });
        let remarks: Vec<String> = converted.into_iter().chain(left_out).collect();
        (!remarks.is_empty()).then(|| remarks.join("; "))
    }
}

fn has_ending(path: &Path, endings: &[&str]) -> bool {
    path.extension().is_some_and(|found| endings.iter().any(|ending| found.eq_ignore_ascii_case(ending)))
}

/// Decodes a file, by its first bytes whatever its name; returns how it had its colors as well.
fn decode(bytes: &[u8]) -> Result<(DynamicImage, ColorType), String> {
    let damaged = |error| format!("is damaged: {error}");
    let format = image::guess_format(bytes).ok();
    match format {
        Some(ImageFormat::Png) => {}
        Some(ImageFormat::Jpeg) if is_whole_jpeg(bytes) => {}
        Some(ImageFormat::Jpeg) => return Err("is damaged: a JPEG that is cut off".to_owned()),
        Some(other) => return Err(format!("is {other:?}, not PNG or JPEG: convert it")),
        None => return Err("is no PNG or JPEG, whatever its name".to_owned()),
    }
    // Beside the pixels, such as color profiles, its own limits hold.
    let mut reader = ImageReader::new(Cursor::new(bytes));
    format.into_iter().for_each(|format| reader.set_format(format));
    let decoder = reader.into_decoder().map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    let color = decoder.color_type();
    let most = MOST_BYTES / u64::from(color.bytes_per_pixel().max(4));
    if u64::from(width) * u64::from(height) > most {
        return Err(format!(
            "is of {width} x {height} pixels, and {most} are the most that are read: make it smaller"
        ));
    }
    Ok((DynamicImage::from_decoder(decoder).map_err(damaged)?, color))
}

/// Whether the end of a JPEG stands behind its last scan: the decoder would make up what is missing. A preview within its
/// header has an end of its own.
fn is_whole_jpeg(bytes: &[u8]) -> bool {
    let last = |mark: [u8; 2]| bytes.windows(2).rposition(|pair| pair == mark);
    last(END).is_some_and(|end| last(SCAN).is_some_and(|scan| scan < end))
}

fn is_deep(color: ColorType) -> bool {
    color.bytes_per_pixel() > color.channel_count()
}

/// The bytes H x W x 3 of an image: grey in every channel, without alpha, of 16 bits the upper 8, as PIL takes them of colors.
fn rgb(image: DynamicImage) -> Vec<u8> {
    if is_deep(image.color()) {
        return image.into_rgb16().into_raw().into_iter().map(|value| (value >> 8) as u8).collect();
    }
    image.into_rgb8().into_raw()
}

#[cfg(test)]
mod tests {
    use image::codecs::jpeg::JpegEncoder;
    use image::{GrayImage, ImageBuffer, Luma, LumaA, Rgb, RgbImage, Rgba};
    use tempfile::{TempDir, tempdir};

    use super::*;
    use crate::{Batch, Dataset};

    const PLAIN: Normalization = Normalization::IMAGENET;

    /// A folder of files, made as they are named.
    fn folder(files: &[(&str, Vec<u8>)]) -> TempDir {
        let folder = tempdir().unwrap();
        for (name, bytes) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        folder
    }

    fn png(image: impl Into<DynamicImage>) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.into().write_to(&mut bytes, ImageFormat::Png).unwrap();
        bytes.into_inner()
    }

    /// A square of one color.
    fn plain(color: u8) -> Vec<u8> {
        png(RgbImage::from_pixel(4, 4, Rgb([color; 3])))
    }

    fn jpeg(side: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        let image = GrayImage::from_fn(side, side, |x, y| Luma([(8 * x + 3 * y) as u8]));
        JpegEncoder::new_with_quality(&mut bytes, 95).encode_image(&image).unwrap();
        bytes
    }

    fn open(folder: &TempDir) -> Dataset {
        Dataset::images(folder.path(), 4, PLAIN).unwrap()
    }

    /// The pixel values of a batch, in its order.
    fn pixels(batch: &Batch) -> Vec<u8> {
        let tables = PLAIN.tables();
        let value = |(at, value): (usize, &f32)| {
            let table = &tables[at / 16 % 3];
            table.iter().position(|known| known == value).unwrap() as u8
        };
        batch.data().iter().enumerate().map(value).collect()
    }

    /// The color of each square of one.
    fn colors(batch: &Batch) -> Vec<u8> {
        pixels(batch).chunks(48).map(|image| image[0]).collect()
    }

    fn message<T: std::fmt::Debug>(result: Result<T>, folder: &TempDir) -> String {
        result.unwrap_err().to_string().replace(&folder.path().display().to_string(), "DIR")
    }

    #[test]
    fn a_plain_folder_is_taken_by_name_and_drawn_from() {
        let folder = folder(&[
            ("b.PNG", plain(2)),
            ("a.png", plain(1)),
            ("d.jpeg.png", plain(4)),
            ("c.jpg", plain(3)),
            (".hidden.png", vec![]),
            ("notes.txt", vec![]),
            ("inner/e.png", plain(5)),
        ]);
        let data = open(&folder);
        assert_eq!(data.len(), 4);
        let all = data.first(4).unwrap();
        assert_eq!((colors(&all), all.conversion()), (vec![1, 2, 3, 4], None));
        let drawn = colors(&data.sample(4, 3).unwrap());
        let positions: Vec<u8> = super::super::draw(4, 4, 3).iter().map(|&at| at as u8 + 1).collect();
        assert_eq!(drawn, positions);
        assert_eq!(colors(&data.sample(2, 3).unwrap()), drawn[..2]);
        assert_eq!(message(data.first(5), &folder), "DIR: 5 images were asked for, and there are 4");
    }

    #[test]
    fn classes_are_taken_as_torchvision_does() {
        let folder = folder(&[
            ("n2/x.png", plain(5)),
            ("n1/images/1.png", plain(3)),
            ("n1/images/2.png", plain(4)),
            ("n1/z.png", plain(1)),
            ("n1-more/1.png", plain(2)),
            ("n1/boxes.txt", vec![]),
        ]);
        // Files before folders; `n1` before `n1-more`.
        assert_eq!(colors(&open(&folder).first(5).unwrap()), [1, 3, 4, 2, 5]);
    }

    #[test]
    fn other_colors_are_converted_and_said() {
        let rgba = ImageBuffer::from_pixel(4, 4, Rgba([10u8, 20, 30, 0]));
        let grey_alpha = ImageBuffer::from_pixel(4, 4, LumaA([40u8, 7]));
        let deep = ImageBuffer::from_pixel(4, 4, Rgb([0x01ffu16, 0x0200, 0xffff]));
        let deep_grey = ImageBuffer::from_pixel(4, 4, Luma([0x7fffu16]));
        let folder = folder(&[
            ("1.png", png(rgba)),
            ("2.png", png(grey_alpha)),
            ("3.png", png(deep)),
            ("4.png", png(deep_grey)),
            ("5.png", plain(50)),
            ("6.webp", vec![]),
            ("7.tif", vec![]),
        ]);
        let batch = open(&folder).first(5).unwrap();
        let found: Vec<Vec<u8>> =
            pixels(&batch).chunks(48).map(|image| image.chunks(16).map(|plane| plane[5]).collect()).collect();
        assert_eq!(found, [[10, 20, 30], [40; 3], [1, 2, 255], [0x7f; 3], [50; 3]]);
        assert_eq!(
            batch.conversion().unwrap().replace(&folder.path().display().to_string(), "DIR"),
            format!(
                "of 5 images converted to RGB of 8 bits: 2 of grey, 2 with alpha, which is dropped, 2 of 16 bits; \
                 left out, as neither PNG nor JPEG: DIR/6.webp and 1 more"
            )
        );
    }

    #[test]
    fn jpegs_are_decoded_to_what_was_encoded() {
        let folder = folder(&[("a.jpg", jpeg(4))]);
        let found = pixels(&open(&folder).first(1).unwrap());
        for (at, &pixel) in found.iter().enumerate() {
            let (x, y) = (at % 4, at / 4 % 4);
            assert!((8 * x + 3 * y).abs_diff(usize::from(pixel)) <= 2, "{at}: {pixel}");
        }
    }

    #[test]
    fn what_is_no_image_is_named() {
        let (whole, whole_jpeg) = (plain(1), jpeg(64));
        // 100,000 x 100,000 pixels, in 33 bytes.
        let bomb = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\x01\x86\xa0\0\x01\x86\xa0\x08\x02\0\0\0";
        let checksum = crc32(&bomb[12..]).to_be_bytes();
        for (bytes, expected) in [
            (whole[..whole.len() - 20].to_vec(), "is damaged: "),
            (whole_jpeg[..whole_jpeg.len() / 2].to_vec(), "is damaged: a JPEG that is cut off"),
            (b"a text".to_vec(), "is no PNG or JPEG, whatever its name"),
            (vec![], "is no PNG or JPEG, whatever its name"),
            (b"RIFF\0\0\0\0WEBPVP8 ".to_vec(), "is WebP, not PNG or JPEG: convert it"),
            (
                [&bomb[..], &checksum, b"\0\0\0\0IDAT\x35\xaf\x06\x1e"].concat(),
                "is of 100000 x 100000 pixels, and 67108864 are the most that are read",
            ),
        ] {
            let folder = folder(&[("a.png", plain(0)), ("b.png", bytes)]);
            let data = open(&folder);
            // What is not drawn is not read.
            assert_eq!(colors(&data.first(1).unwrap()), [0]);
            let found = message(data.first(2), &folder);
            assert!(found.starts_with(&format!("DIR/b.png: {expected}")), "{found}");
        }
    }

    #[test]
    fn folders_without_images_are_named() {
        let folder = folder(&[("none/a.txt", vec![]), ("other/b.tiff", vec![]), ("file.png", plain(0))]);
        let open = |name: &str| message(Dataset::images(folder.path().join(name), 4, PLAIN), &folder);
        assert_eq!(open("none"), "DIR/none: holds no PNG or JPEG files, nor do its sub-folders");
        assert_eq!(
            open("other"),
            "DIR/other: holds no PNG or JPEG files, but others: convert DIR/other/b.tiff"
        );
        assert!(open("missing").starts_with("DIR/missing: "));
        assert!(open("file.png").starts_with("DIR/file.png: "));
        let size = Dataset::images(folder.path(), 0, PLAIN).unwrap_err().to_string();
        assert_eq!(size, "size: images have at least 1 pixel");
    }

    /// The checksum of PNG's chunks.
    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
        })
    }
}
