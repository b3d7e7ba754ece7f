//! What of a stream goes to the viewers of our own RTSP server.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use gst::prelude::*;
use gst_rtsp_server::prelude::*;
use gst_rtsp_server::{RTSPMedia, RTSPMediaStatus, RTSPStreamTransport};

use super::anchor::Anchor;
use super::encoding::KeyRequest;
use super::packets::Packet;
use crate::video::launch::named;

/// Bytes and time that wait for the viewers of a path at most, all together.
const MOST_BYTES: u64 = 4 << 20;
const MOST_TIME: Duration = Duration::from_secs(3);

/// A path's end of the stream. Packets are handed over where the encoder gives them; nothing here waits.
pub(super) struct Mount {
    key: KeyRequest,
    lost: Box<dyn Fn() + Send + Sync>,
    /// One from the first viewer on; while one ends and the next begins, two.
    readers: Mutex<Vec<Reader>>,
}

/// A pipeline of the server's.
struct Reader {
    media: gst::glib::WeakRef<RTSPMedia>,
    packets: gst_app::AppSrc,
    caps: Option<gst::Caps>,
    anchor: Anchor,
    /// Kept while nobody looks.
    held: bool,
    /// Its pipeline runs and has a clock.
    running: bool,
    until_key: bool,
    /// It has had its first key frame; before there is nothing to lose.
    begun: bool,
}

impl Mount {
    pub fn new(key: KeyRequest, lost: Box<dyn Fn() + Send + Sync>) -> Arc<Mount> {
        Arc::new(Mount { key, lost, readers: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Reader>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A viewer begins to look.
    pub fn ask_key(&self) {
        self.key.ask();
    }

    /// The first viewer comes: the server has made a pipeline, which does not run yet.
    pub fn configure(self: &Arc<Self>, media: &RTSPMedia) {
        let element = media.element();
        let bin = element.downcast_ref::<gst::Bin>().expect("the server makes a bin of a text");
        let packets: gst_app::AppSrc = named(bin, "packets");
        let mount: Weak<Mount> = Arc::downgrade(self);
        let begins = move |packets: &gst_app::AppSrc, _| {
            let Some(mount) = mount.upgrade() else { return };
            let mut readers = mount.lock();
            if let Some(reader) = readers.iter_mut().find(|reader| reader.packets == *packets && !reader.running) {
                reader.running = true;
                mount.key.ask();
            }
        };
        packets.set_callbacks(gst_app::AppSrcCallbacks::builder().need_data(begins).build());
        let (stays, kept) = (Arc::downgrade(self), packets.clone());
        media.connect_prepared(move |media| {
            if let Some(mount) = stays.upgrade() {
                mount.hold(media, &kept);
            }
        });
        let (leaves, gone) = (Arc::downgrade(self), packets.clone());
        media.connect_unprepared(move |_| {
            if let Some(mount) = leaves.upgrade() {
                mount.lock().retain(|reader| reader.packets != gone);
            }
        });
        let (media, anchor) = (media.downgrade(), Anchor::default());
        self.lock().push(Reader { media, packets, caps: None, anchor, held: false, running: false, until_key: true, begun: false });
    }

    /// Keeps a pipeline that runs, as a viewer that never leaves would: one who comes just when the last one goes would get it while it is
    /// being stopped, and be refused.
    fn hold(&self, media: &RTSPMedia, packets: &gst_app::AppSrc) {
        if media.prepare(None).is_err() {
            return;
        }
        let mut readers = self.lock();
        if let Some(reader) = readers.iter_mut().find(|reader| reader.packets == *packets) {
            reader.held = true;
            return;
        }
        // The mount has ended meanwhile. Stopping calls back, which needs the lock.
        drop(readers);
        let _ = media.unprepare();
    }

    /// Lets go of pipelines that failed, so that the next viewer gets a new one.
    pub fn look_after(&self) {
        let held: Vec<RTSPMedia> = self.lock().iter().filter(|reader| reader.held).filter_map(|reader| reader.media.upgrade()).collect();
        for media in held.into_iter().filter(|media| media.status() == RTSPMediaStatus::Error) {
            self.lock().retain(|reader| reader.media.upgrade().as_ref() != Some(&media));
            let _ = media.unprepare();
        }
    }

    /// From the encoder.
    pub fn give(&self, packet: &Packet) {
        let mut readers = self.lock();
        readers.retain(|reader| reader.media.upgrade().is_some());
        for reader in readers.iter_mut().filter(|reader| reader.running) {
            if !reader.give(packet) && reader.begun {
                (self.lost)();
            }
        }
    }

    /// How many look.
    pub fn viewers(&self) -> usize {
        let medias: Vec<RTSPMedia> = self.lock().iter().filter_map(|reader| reader.media.upgrade()).collect();
        medias.iter().filter_map(|media| media.stream(0)).map(|stream| stream.transport_filter(None).len()).sum()
    }

    /// Whether the server still sends to this viewer. One that takes nothing for seconds is sent nothing more by GStreamer, which leaves
    /// the connection as it is.
    pub fn sends_to(&self, viewer: &RTSPStreamTransport) -> bool {
        let medias: Vec<RTSPMedia> = self.lock().iter().filter_map(|reader| reader.media.upgrade()).collect();
        medias.iter().filter_map(|media| media.stream(0)).any(|stream| stream.transport_filter(None).contains(viewer))
    }

    /// No more packets come.
    pub fn end(&self) {
        let readers: Vec<Reader> = self.lock().drain(..).collect();
        for reader in readers {
            let _ = reader.packets.end_of_stream();
            if let Some(media) = reader.media.upgrade().filter(|_| reader.held) {
                let _ = media.unprepare();
            }
        }
    }
}

impl Reader {
    /// False: it did not get the packet.
    fn give(&mut self, packet: &Packet) -> bool {
        let waits = self.packets.current_level_time().map(Duration::from).unwrap_or_default();
        if waits > MOST_TIME || self.packets.current_level_bytes() > MOST_BYTES {
            self.until_key = true;
        }
        if self.until_key && (!packet.key || self.packets.current_level_bytes() > 0) {
            return false;
        }
        let Some(now) = self.packets.current_running_time().map(Duration::from) else { return false };
        self.until_key = false;
        self.begun = true;
        if self.caps.as_ref() != Some(&packet.caps) {
            self.packets.set_caps(Some(&packet.caps));
            self.caps = Some(packet.caps.clone());
        }
        let mut buffer = packet.buffer.clone();
        let time = gst::ClockTime::try_from(self.anchor.place(packet.pts, now)).ok();
        let writable = buffer.make_mut();
        writable.set_pts(time);
        writable.set_dts(time);
        self.packets.push_buffer(buffer).is_ok()
    }
}
