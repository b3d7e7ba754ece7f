use std::path::PathBuf;

use super::*;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::webp::WebPEncoder;

/// Bytes of a file in the encoder's format.
fn png(data: &[u8], width: u32, height: u32, colour: ExtendedColorType) -> Vec<u8> {
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes).write_image(data, width, height, colour).expect("encoded");
    bytes
}

/// An EXIF block (TIFF, little-endian) that says only the orientation.
fn exif(orientation: u8) -> Vec<u8> {
    let mut block = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    block.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
    block
}

#[test]
fn pictures_are_turned_as_exif_says() {
    // 16 x 24: upper left red, upper right green, lower left blue, lower right white; blocks of 8 keep JPEG's edges sharp.
    let (width, height) = (16u32, 24u32);
    let colours = [[255u8, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]];
    let data: Vec<u8> = (0..height)
        .flat_map(|y| (0..width).map(move |x| (x, y)))
        .flat_map(|(x, y)| colours[usize::from(x >= 8) + 2 * usize::from(y >= 8)])
        .collect();
    // Which stored corner is seen at the upper left, upper right, lower left, lower right (EXIF 2.3, tag 0x0112).
    let seen = [[0, 1, 2, 3], [1, 0, 3, 2], [3, 2, 1, 0], [2, 3, 0, 1], [0, 2, 1, 3], [2, 0, 3, 1], [3, 1, 2, 0], [1, 3, 0, 2]];
    for (orientation, corners) in (1u8..=8).zip(seen) {
        let mut jpeg = Vec::new();
        let mut encoder = JpegEncoder::new_with_quality(&mut jpeg, 100);
        encoder.set_exif_metadata(exif(orientation)).expect("JPEG has room for EXIF");
        encoder.write_image(&data, width, height, ExtendedColorType::Rgb8).expect("encoded");
        let mut webp = Vec::new();
        let mut encoder = WebPEncoder::new_lossless(&mut webp);
        encoder.set_exif_metadata(exif(orientation)).expect("WebP has room for EXIF");
        encoder.write_image(&data, width, height, ExtendedColorType::Rgb8).expect("encoded");
        for (format, bytes) in [("JPEG", jpeg), ("WebP", webp)] {
            let still = from_bytes(&bytes).expect("a picture");
            let turned = orientation > 4;
            assert_eq!((still.width_px, still.height_px), if turned { (24, 16) } else { (16, 24) }, "{format} {orientation}");
            let (right, bottom) = (still.width_px - 2, still.height_px - 2);
            for ((x, y), corner) in [(1, 1), (right, 1), (1, bottom), (right, bottom)].into_iter().zip(corners) {
                let got = &still.rgb[(y * still.width_px + x) * 3..][..3];
                let near = got.iter().zip(colours[corner]).all(|(&a, b)| a.abs_diff(b) < 60);
                assert!(near, "{format} {orientation} at ({x}, {y}): {got:?} for {:?}", colours[corner]);
            }
        }
    }
}

#[test]
fn grey_alpha_and_sixteen_bits_become_rgb() {
    let words = |values: &[u16]| values.iter().flat_map(|value| value.to_ne_bytes()).collect::<Vec<u8>>();
    let cases = [
        ("grey", png(&[0, 77], 2, 1, ExtendedColorType::L8), [0, 0, 0, 77, 77, 77]),
        ("grey, alpha", png(&[100, 255, 100, 0], 2, 1, ExtendedColorType::La8), [100, 100, 100, 255, 255, 255]),
        ("alpha", png(&[10, 20, 30, 255, 0, 0, 255, 102], 2, 1, ExtendedColorType::Rgba8), [10, 20, 30, 153, 153, 255]),
        ("16 bits", png(&words(&[0, 257, 65535, 128, 129, 32896]), 2, 1, ExtendedColorType::Rgb16), [0, 1, 255, 0, 1, 128]),
        ("grey, 16 bits", png(&words(&[25700, 65535]), 2, 1, ExtendedColorType::L16), [100, 100, 100, 255, 255, 255]),
        (
            "alpha, 16 bits",
            png(&words(&[25700, 0, 65535, 65535, 0, 0, 0, 0]), 2, 1, ExtendedColorType::Rgba16),
            [100, 0, 255, 255, 255, 255],
        ),
    ];
    for (name, bytes, wanted) in cases {
        let still = from_bytes(&bytes).expect(name);
        assert_eq!((still.width_px, still.height_px), (2, 1));
        assert_eq!(still.rgb, wanted, "{name}");
    }
}

#[test]
fn a_webp_picture_comes_through() {
    let data: Vec<u8> = (0..60).map(|i| i * 4).collect();
    let mut webp = Vec::new();
    WebPEncoder::new_lossless(&mut webp).write_image(&data, 5, 4, ExtendedColorType::Rgb8).expect("encoded");
    assert_eq!(from_bytes(&webp).expect("a picture"), Still { width_px: 5, height_px: 4, rgb: data });
}

#[test]
fn what_is_no_picture_is_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let whole = png(&[50; 30_000], 100, 100, ExtendedColorType::Rgb8);
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0xff;
    for (name, bytes, what) in [
        ("empty.png", Vec::new(), "is not a PNG"),
        ("text.jpg", b"this is no picture at all".to_vec(), "is not a PNG"),
        ("animation.gif", b"GIF89a\x01\0\x01\0\0\0\0;".to_vec(), "is not a PNG"),
        ("cut.png", whole[..whole.len() / 2].to_vec(), "cut.png: is "),
        ("damaged.png", damaged, "is broken"),
        ("cut.jpg", vec![0xff, 0xd8, 0xff, 0xe0, 0, 16, b'J'], "is "),
        ("cut.webp", b"RIFF\x20\0\0\0WEBPVP8 ".to_vec(), "is "),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        let error = read(&path).expect_err(name);
        assert_eq!(error.kind(), Kind::Data, "{error}");
        assert!(error.to_string().contains(name) && error.to_string().contains(what), "{error}");
    }
    for path in [PathBuf::from("/nowhere/picture.png"), folder.path().to_owned()] {
        let error = read(&path).expect_err("no picture");
        assert_eq!(error.kind(), Kind::NoInput, "{error}");
        assert!(error.to_string().starts_with(&path.display().to_string()), "{error}");
    }
}

#[test]
fn absurd_sizes_are_refused_before_memory_is_taken() {
    // The head of a PNG that claims this size; its checksum is made right.
    let claim = |width: u32, height: u32| {
        let mut bytes = png(&[0; 3], 1, 1, ExtendedColorType::Rgb8);
        bytes[16..20].copy_from_slice(&width.to_be_bytes());
        bytes[20..24].copy_from_slice(&height.to_be_bytes());
        let crc = bytes[12..29].iter().fold(u32::MAX, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
        });
        bytes[29..33].copy_from_slice(&(!crc).to_be_bytes());
        bytes
    };
    for (width, height) in [(2_000_000_000, 1), (40_000, 10), (30_000, 30_000)] {
        let error = from_bytes(&claim(width, height)).expect_err("too large");
        assert_eq!(error.kind(), Kind::Data);
        assert!(error.to_string().contains("512 MiB"), "{error}");
    }
}

#[test]
fn what_is_written_reads_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let still = Still { width_px: 3, height_px: 5, rgb: (0..45).collect() };
    let path = folder.path().join("picture.png");
    write_png(&path, &still).expect("written");
    assert_eq!(read(&path).expect("a picture"), still);
    let error = write_png(&folder.path().join("no/such/folder.png"), &still).expect_err("nowhere");
    assert_eq!(error.kind(), Kind::Runtime);
    assert!(error.to_string().contains("folder.png"), "{error}");
}
