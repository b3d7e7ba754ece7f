//! Pipelines from their texts, and what to install when an element is missing.

use std::io;
use std::path::Path;

use gst::prelude::*;

pub use super::inventory::debian_package;
use crate::error::{Error, Result};

/// The package that most likely has what a missing-plugin message asks for: `detail` is its caps.
pub(super) fn package_for_caps(detail: &str) -> &'static str {
    let media = detail.split(',').next().unwrap_or(detail);
    match media {
        "video/x-vp8" | "video/x-vp9" | "video/quicktime" | "video/x-matroska" | "video/webm" | "image/jpeg" => "gstreamer1.0-plugins-good",
        "video/mpegts" | "video/x-av1" => "gstreamer1.0-plugins-bad",
        _ => "gstreamer1.0-libav",
    }
}

/// Refuses an element that is not installed, naming the package.
pub(super) fn require(element: &str) -> Result<()> {
    if gst::ElementFactory::find(element).is_some() {
        return Ok(());
    }
    Err(Error::runtime(format!("GStreamer has no {element}: install {} (or what your system calls it)", debian_package(element))))
}

/// The text without its head comment, with `{name}` replaced.
pub(super) fn fill(text: &str, values: &[(&str, &str)]) -> String {
    let mut body: String = text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join(" ");
    for (name, value) in values {
        body = body.replace(&format!("{{{name}}}"), value);
    }
    body
}

fn refused(error: &gst::glib::Error, context: &gst::ParseContext, body: &str) -> Error {
    // Elements whose properties were refused are listed there too.
    let missing = context.missing_elements().into_iter().find(|name| gst::ElementFactory::find(name).is_none());
    match missing {
        Some(name) => Error::runtime(format!("GStreamer has no {name}: install {} (or what your system calls it)", debian_package(&name))),
        None => Error::runtime(format!("GStreamer does not take the pipeline `{}`: {error}", body.trim())),
    }
}

/// A pipeline from its text.
pub(super) fn pipeline(text: &str, values: &[(&str, &str)]) -> Result<gst::Pipeline> {
    let body = fill(text, values);
    let mut context = gst::ParseContext::new();
    let element = gst::parse::launch_full(&body, Some(&mut context), gst::ParseFlags::FATAL_ERRORS)
        .map_err(|error| refused(&error, &context, &body))?;
    match element.downcast::<gst::Pipeline>() {
        Ok(pipeline) => Ok(pipeline),
        // A text with a single element comes bare.
        Err(element) => {
            let pipeline = gst::Pipeline::new();
            pipeline.add(&element).map_err(|error| Error::runtime(error.to_string()))?;
            Ok(pipeline)
        }
    }
}

/// A bin from its text, with ghost pads for the pads that it leaves open.
pub(super) fn branch(text: &str, values: &[(&str, &str)]) -> Result<gst::Bin> {
    let body = fill(text, values);
    let mut context = gst::ParseContext::new();
    gst::parse::bin_from_description_full(&body, true, Some(&mut context), gst::ParseFlags::FATAL_ERRORS)
        .map_err(|error| refused(&error, &context, &body))
        .and_then(|element| element.downcast::<gst::Bin>().map_err(|_| Error::runtime("GStreamer made no bin of a pipeline's branch")))
}

/// An element that a text of ours names.
pub(super) fn named<T: IsA<gst::Element>>(bin: &impl IsA<gst::Bin>, name: &str) -> T {
    bin.by_name(name)
        .unwrap_or_else(|| panic!("the pipeline text names no element {name}"))
        .downcast::<T>()
        .unwrap_or_else(|_| panic!("element {name} of the pipeline text has another type"))
}

/// The text of a pipeline: the operator's file of this name, where `folder` has one, else `built_in`.
pub(super) fn pipeline_text(folder: Option<&Path>, name: &str, built_in: &str) -> Result<String> {
    let Some(path) = folder.map(|folder| folder.join(name)) else { return Ok(built_in.to_owned()) };
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(built_in.to_owned()),
        Err(error) => Err(Error::config(format!("{}: {error}", path.display())).with_source(error)),
    }
}

/// An element that the program speaks to in a pipeline whose text may be an operator's.
pub(super) fn find<T: IsA<gst::Element>>(bin: &impl IsA<gst::Bin>, name: &str) -> Result<T> {
    let element = bin.by_name(name).ok_or_else(|| Error::config(format!("a pipeline's text lacks an element with name={name}")))?;
    element
        .downcast::<T>()
        .map_err(|_| Error::config(format!("the element {name} of a pipeline's text is of another kind than it has to be")))
}
