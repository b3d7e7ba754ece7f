//! Our own RTSP server: one for the process, a path for every stream, one encode for all viewers of a path.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use gst::glib;
use gst_rtsp_server::prelude::*;
use gst_rtsp_server::{RTSPAuth, RTSPClient, RTSPFilterResult, RTSPMediaFactory, RTSPServer, RTSPThreadPool, RTSPToken};

use super::mount::Mount;
use super::settings::RtspServerSettings;
use crate::error::{Error, Result};
use crate::video::launch::{fill, find, pipeline};

/// What a viewer with the right password may be.
const VIEWER: &str = "viewer";
/// Threads that speak with viewers; more viewers share them.
const CLIENT_THREADS: i32 = 16;
/// Viewers at once.
const MOST_VIEWERS: u32 = 256;
/// How often sessions that have run out are ended, and viewers that take nothing are looked for.
const ROUND_S: u32 = 2;

/// rtsp://LISTEN/PATH for every mounted stream; clones are the same server, which ends with the last of them.
#[derive(Clone)]
pub struct RtspServer(Arc<Inner>);

struct Inner {
    server: RTSPServer,
    port: u16,
    main_loop: glib::MainLoop,
    secured: bool,
    mounts: Arc<Mutex<HashMap<String, Arc<Mount>>>>,
}

/// Who has asked for PLAY and not yet for an end of it.
type Playing = Arc<Mutex<HashSet<RTSPClient>>>;

fn lock(mounts: &Mutex<HashMap<String, Arc<Mount>>>) -> MutexGuard<'_, HashMap<String, Arc<Mount>>> {
    mounts.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RtspServer {
    /// Listens from now on; without a mounted stream every path is not found.
    ///
    /// # Errors
    /// [`Kind::Runtime`](crate::error::Kind::Runtime) where the address cannot be listened at,
    /// [`Kind::Config`](crate::error::Kind::Config) for a user without a password or the other way round.
    pub fn start(settings: &RtspServerSettings) -> Result<RtspServer> {
        crate::video::init()?;
        let server = RTSPServer::new();
        server.set_address(&settings.listen.ip().to_string());
        server.set_service(&settings.listen.port().to_string());
        let threads = RTSPThreadPool::new();
        threads.set_max_threads(CLIENT_THREADS);
        server.set_thread_pool(Some(&threads));
        if let Some(sessions) = server.session_pool() {
            sessions.set_max_sessions(MOST_VIEWERS);
        }
        let secured = match (&settings.user, &settings.password) {
            (Some(user), Some(password)) => {
                server.set_auth(Some(&auth(user, password.reveal())));
                true
            }
            (None, None) => false,
            _ => return Err(Error::config("the RTSP server's user and password go together: set both or none")),
        };
        let mounts: Arc<Mutex<HashMap<String, Arc<Mount>>>> = Arc::default();
        let (port, main_loop) = serve(&server, Arc::clone(&mounts))
            .map_err(|error| Error::runtime(format!("{}: RTSP cannot be served there: {error}", settings.listen)))?;
        Ok(RtspServer(Arc::new(Inner { server, port, main_loop, secured, mounts })))
    }

    /// The port that it listens at.
    pub fn port(&self) -> u16 {
        self.0.port
    }

    /// How many look at a path.
    pub fn viewers(&self, path: &str) -> usize {
        let mount = lock(&self.0.mounts).get(&absolute(path)).cloned();
        mount.map_or(0, |mount| mount.viewers())
    }

    /// Puts a stream at a path. `text` is the pipeline's, from `packets` to the payloader `pay0`.
    pub(super) fn mount(&self, path: &str, text: &str, mount: &Arc<Mount>) -> Result<()> {
        let path = absolute(path);
        // A wrong text would show only when somebody looks.
        find::<gst_app::AppSrc>(&pipeline(text, &[])?, "packets")?;
        let mut mounts = lock(&self.0.mounts);
        if mounts.contains_key(&path) {
            return Err(Error::config(format!("two streams want to be at the RTSP server's path {path}: name another")));
        }
        let factory = RTSPMediaFactory::new();
        factory.set_launch(&format!("( {} )", fill(text, &[])));
        factory.set_shared(true);
        if self.0.secured {
            let role = gst::Structure::builder(VIEWER)
                .field(gst_rtsp_server::RTSP_PERM_MEDIA_FACTORY_ACCESS.as_str(), true)
                .field(gst_rtsp_server::RTSP_PERM_MEDIA_FACTORY_CONSTRUCT.as_str(), true);
            factory.add_role_from_structure(&role.build());
        }
        let joins = Arc::downgrade(mount);
        factory.connect_media_configure(move |_, media| {
            if let Some(mount) = joins.upgrade() {
                mount.configure(media);
            }
        });
        let points = self.0.server.mount_points().ok_or_else(|| Error::runtime("the RTSP server has no mount points"))?;
        points.add_factory(&path, factory);
        mounts.insert(path, Arc::clone(mount));
        Ok(())
    }

    /// Takes a stream away, and its viewers' connections with it.
    pub(super) fn unmount(&self, path: &str, mount: &Arc<Mount>) {
        let path = absolute(path);
        let mut mounts = lock(&self.0.mounts);
        if mounts.get(&path).is_none_or(|there| !Arc::ptr_eq(there, mount)) {
            return;
        }
        mounts.remove(&path);
        drop(mounts);
        if let Some(points) = self.0.server.mount_points() {
            points.remove_factory(&path);
        }
        mount.end();
        self.0.server.client_filter(Some(&mut |_, client| {
            let mut looks = false;
            client.session_filter(Some(&mut |_, session| {
                looks |= session.media(&path).0.is_some();
                RTSPFilterResult::Keep
            }));
            if looks { RTSPFilterResult::Remove } else { RTSPFilterResult::Keep }
        }));
    }
}

/// Paths of URLs begin with a slash.
fn absolute(path: &str) -> String {
    format!("/{}", path.trim_start_matches('/'))
}

/// Basic and digest.
fn auth(user: &str, password: &str) -> RTSPAuth {
    let auth = RTSPAuth::new();
    auth.set_realm(Some("gradcast"));
    auth.set_supported_methods(gst_rtsp::RTSPAuthMethod::Digest);
    let token = RTSPToken::builder().field(gst_rtsp_server::RTSP_TOKEN_MEDIA_FACTORY_ROLE.as_str(), VIEWER).build();
    auth.add_digest(user, password, &token);
    auth.add_basic(&RTSPAuth::make_basic(user, password), &token);
    auth
}

/// Listens on a thread with its own main context. Gives back the port and what ends it.
fn serve(server: &RTSPServer, mounts: Arc<Mutex<HashMap<String, Arc<Mount>>>>) -> Result<(u16, glib::MainLoop), glib::Error> {
    let context = glib::MainContext::new();
    let main_loop = glib::MainLoop::new(Some(&context), false);
    let source = server.create_source(gst_rtsp_server::gio::Cancellable::NONE)?;
    source.attach(Some(&context));
    let port = u16::try_from(server.bound_port()).unwrap_or_default();

    let asks = Arc::clone(&mounts);
    let playing: Playing = Arc::default();
    let plays = Arc::clone(&playing);
    server.connect_client_connected(move |_, client| {
        let forgets = || {
            let playing = Arc::clone(&plays);
            move |client: &RTSPClient| {
                playing.lock().unwrap_or_else(PoisonError::into_inner).remove(client);
            }
        };
        let (paused, torn_down) = (forgets(), forgets());
        client.connect_pause_request(move |client, _| paused(client));
        client.connect_teardown_request(move |client, _| torn_down(client));
        client.connect_closed(forgets());
        let (asks, plays) = (Arc::clone(&asks), Arc::clone(&plays));
        client.connect_play_request(move |client, context| {
            plays.lock().unwrap_or_else(PoisonError::into_inner).insert(client.clone());
            let path = context.uri().map(|uri| uri.request_uri()).and_then(|uri| url::Url::parse(&uri).ok());
            if let Some(path) = path
                && let Some(mount) = lock(&asks).get(path.path().trim_end_matches('/'))
            {
                mount.ask_key();
            }
        });
    });
    let sessions = server.session_pool();
    let weak = server.downgrade();
    let round = glib::timeout_source_new_seconds(ROUND_S, None, glib::Priority::DEFAULT, move || {
        if let Some(sessions) = &sessions {
            sessions.cleanup();
        }
        if let Some(server) = weak.upgrade() {
            cut_off(&server, &mounts, &playing);
        }
        glib::ControlFlow::Continue
    });
    round.attach(Some(&context));
    let runs = main_loop.clone();
    let (said, started) = mpsc::channel();
    let thread = thread::Builder::new().name("rtsp-server".into()).spawn(move || {
        let _ = context.with_thread_default(|| {
            let _ = said.send(());
            runs.run();
        });
        source.destroy();
        round.destroy();
    });
    if thread.is_err() || started.recv_timeout(Duration::from_secs(10)).is_err() {
        return Err(glib::Error::new(gst::CoreError::Thread, "no thread for the server"));
    }
    Ok((port, main_loop))
}

/// Ends the connections of viewers that are sent nothing any more, since they took nothing.
fn cut_off(server: &RTSPServer, mounts: &Mutex<HashMap<String, Arc<Mount>>>, playing: &Playing) {
    let mounts: Vec<(String, Arc<Mount>)> = lock(mounts).iter().map(|(path, mount)| (path.clone(), Arc::clone(mount))).collect();
    mounts.iter().for_each(|(_, mount)| mount.look_after());
    let playing = playing.lock().unwrap_or_else(PoisonError::into_inner).clone();
    server.client_filter(Some(&mut |_, client| {
        let mut is_stuck = false;
        client.session_filter(Some(&mut |_, session| {
            for (path, mount) in &mounts {
                let viewer = session.media(path).0.and_then(|media| media.transport(0));
                is_stuck |= viewer.is_some_and(|viewer| !mount.sends_to(&viewer));
            }
            RTSPFilterResult::Keep
        }));
        if is_stuck && playing.contains(client) {
            tracing::info!("a viewer that takes nothing is cut off");
            RTSPFilterResult::Remove
        } else {
            RTSPFilterResult::Keep
        }
    }));
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.server.client_filter(Some(&mut |_, _| RTSPFilterResult::Remove));
        self.main_loop.quit();
    }
}
