//! Whose word counts on colours and interlacing. A container may contradict its bitstream (phones write "limited range" beside full-range
//! H.264, Matroska "progressive" beside fields); players believe the bitstream. GStreamer's parsers and decoders look into it only where
//! the container is silent, so the container is made silent. Its colours are heard again where the bitstream says nothing.

use std::sync::{Arc, Mutex, PoisonError};

use gst::prelude::*;

/// Puts bitstream before container for every video parser and decoder that is plugged into `input`.
pub(super) fn prefer(input: &gst::Element) {
    let container: Arc<Mutex<Option<String>>> = Arc::default();
    let bin = input.downcast_ref::<gst::Bin>().expect("uridecodebin is a bin");
    bin.connect_deep_element_added(move |_, _, element| {
        let Some(factory) = element.factory() else { return };
        let Some(pad) = element.static_pad("sink") else { return };
        let said = Arc::clone(&container);
        if matches!(factory.name().as_str(), "h264parse" | "h265parse") {
            on_caps(&pad, move |structure| {
                if let Ok(colorimetry) = structure.get::<String>("colorimetry") {
                    *said.lock().unwrap_or_else(PoisonError::into_inner) = Some(colorimetry);
                }
                for field in ["colorimetry", "interlace-mode", "field-order"] {
                    structure.remove_field(field);
                }
            });
        } else if factory.has_type(gst::ElementFactoryType::DECODER | gst::ElementFactoryType::MEDIA_VIDEO) && !element.is::<gst::Bin>() {
            on_caps(&pad, move |structure| {
                let colorimetry = said.lock().unwrap_or_else(PoisonError::into_inner).clone();
                if let Some(colorimetry) = colorimetry
                    && !structure.has_field("colorimetry")
                {
                    structure.set("colorimetry", colorimetry);
                }
            });
        }
    });
}

/// Changes caps before the element of this pad sees them.
pub(super) fn on_caps(pad: &gst::Pad, change: impl Fn(&mut gst::StructureRef) + Send + Sync + 'static) {
    pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        if let Some(gst::PadProbeData::Event(event)) = &info.data
            && let gst::EventView::Caps(event) = event.view()
        {
            let mut caps = event.caps_owned();
            if let Some(structure) = caps.make_mut().structure_mut(0) {
                change(structure);
            }
            info.data = Some(gst::PadProbeData::Event(gst::event::Caps::new(&caps)));
        }
        gst::PadProbeReturn::Ok
    });
}
