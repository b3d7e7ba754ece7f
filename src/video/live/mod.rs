//! Live video: sources that run by themselves and may fail at any time, and outputs that many read at once.
//!
//! A [`Source`] is one attempt: it decodes until its server ends, fails or falls silent, and is then thrown away; who tries again is the
//! stream. An [`Output`] lives as long as its stream: it encodes once and hands the packets to every sink, each of which fails and comes
//! back by itself.

mod anchor;
mod encoding;
mod file_names;
mod mount;
mod output;
mod packets;
mod pick;
mod pipe;
mod playlist;
mod preview;
mod push;
mod recording;
mod rtsp_server;
mod segments;
mod settings;
mod shape;
mod sink;
mod source;
mod source_delivery;
mod source_faults;
mod source_inputs;
mod source_run;
mod source_tail;
pub mod texts;
mod transport_stream;

pub use output::{Output, OutputCounters, Passage, SinkEvent};
pub use pick::pick_encoder;
pub use rtsp_server::RtspServer;
pub use settings::{
    DeviceInput, FileInput, Input, OutputSettings, Picked, Preview, Push, RtspInput, RtspServerSettings, Segments, SinkKind, SinkSettings,
    SourceSettings, SrtInput, TestInput, Transport, UdpInput, UriInput,
};
pub use shape::Shape;
pub use sink::SinkState;
pub use source::{Event, LiveFrame, Source, SourceCounters};
