//! What is there for CUDA: the driver with its cards, asked without libtorch, and libtorch's CUDA part, opened at run time. The program
//! is linked with neither, so that it starts on a machine without them.

use std::env;
use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

use crate::error::{Error, Result};
use crate::network::device;

/// The driver's library, which comes with the kernel's module.
const DRIVER: &str = "libcuda.so.1";
/// libtorch's CUDA part.
const LIBRARY: &str = "libtorch_cuda.so";
/// Environment variable with the folder of libtorch's CUDA part.
pub const FOLDER_VARIABLE: &str = "GRADCAST_LIBTORCH_CUDA";

/// A card, as the driver describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// The maker's name of it.
    pub name: String,
    /// Its memory.
    pub memory_bytes: u64,
    /// Compute capability, as (9, 0).
    pub capability: (i32, i32),
}

/// The cards that the driver shows, in its order; `CUDA_VISIBLE_DEVICES` decides which and in which order. Asked once.
///
/// # Errors
/// Kind::Runtime where there is no driver, or it does not start.
pub fn cards() -> Result<&'static [Card]> {
    static CARDS: OnceLock<Result<Vec<Card>>> = OnceLock::new();
    match CARDS.get_or_init(ask_driver) {
        Ok(cards) => Ok(cards),
        Err(error) => Err(Error::runtime(error.to_string())),
    }
}

fn ask_driver() -> Result<Vec<Card>> {
    let driver = Library::open(Path::new(DRIVER), libc::RTLD_NOW)
        .map_err(|told| Error::runtime(format!("no NVIDIA driver is here: {DRIVER} cannot be opened ({told})")))?;
    type Number = unsafe extern "C" fn(*mut c_int) -> c_int;
    type Device = unsafe extern "C" fn(*mut c_int, c_int) -> c_int;
    type Name = unsafe extern "C" fn(*mut c_char, c_int, c_int) -> c_int;
    type Memory = unsafe extern "C" fn(*mut usize, c_int) -> c_int;
    type Attribute = unsafe extern "C" fn(*mut c_int, c_int, c_int) -> c_int;
    // CUdevice_attribute in cuda.h.
    const CAPABILITY_MAJOR: c_int = 75;
    const CAPABILITY_MINOR: c_int = 76;
    // SAFETY: the driver's functions, with the signatures of cuda.h; the numbers are written before they return.
    unsafe {
        let start: unsafe extern "C" fn(c_uint) -> c_int = std::mem::transmute(driver.symbol(c"cuInit")?);
        let count: Number = std::mem::transmute(driver.symbol(c"cuDeviceGetCount")?);
        let device: Device = std::mem::transmute(driver.symbol(c"cuDeviceGet")?);
        let name: Name = std::mem::transmute(driver.symbol(c"cuDeviceGetName")?);
        let memory: Memory = std::mem::transmute(driver.symbol(c"cuDeviceTotalMem_v2")?);
        let attribute: Attribute = std::mem::transmute(driver.symbol(c"cuDeviceGetAttribute")?);
        let checked = |what: &str, code: c_int| match code {
            0 => Ok(()),
            code => Err(Error::runtime(format!("the NVIDIA driver does not start: {what} gives error {code}; see what nvidia-smi says"))),
        };
        checked("cuInit", start(0))?;
        let mut cards = 0;
        checked("cuDeviceGetCount", count(&raw mut cards))?;
        (0..cards)
            .map(|index| {
                let mut handle = 0;
                checked("cuDeviceGet", device(&raw mut handle, index))?;
                let mut text = [0; 256];
                checked("cuDeviceGetName", name(text.as_mut_ptr(), text.len() as c_int - 1, handle))?;
                let mut memory_bytes = 0;
                checked("cuDeviceTotalMem", memory(&raw mut memory_bytes, handle))?;
                let (mut major, mut minor) = (0, 0);
                checked("cuDeviceGetAttribute", attribute(&raw mut major, CAPABILITY_MAJOR, handle))?;
                checked("cuDeviceGetAttribute", attribute(&raw mut minor, CAPABILITY_MINOR, handle))?;
                Ok(Card {
                    name: CStr::from_ptr(text.as_ptr()).to_string_lossy().into_owned(),
                    memory_bytes: memory_bytes as u64,
                    capability: (major, minor),
                })
            })
            .collect()
    }
}

/// Opens libtorch's CUDA part, once in a process, and gives the file. It has to happen before libtorch is asked anything about CUDA: it
/// looks only once for what is registered.
///
/// # Errors
/// Kind::Runtime with the places that were searched, and why each file there cannot be opened.
pub fn open_library() -> Result<PathBuf> {
    static OPENED: Mutex<Option<PathBuf>> = Mutex::new(None);
    let mut opened = OPENED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Some(path) = &*opened {
        return Ok(path.clone());
    }
    let path = open_first(&places())?;
    device::set_up_cuda()?;
    *opened = Some(path.clone());
    Ok(path)
}

/// CUDA devices that libtorch sees, once its CUDA part is open.
pub fn device_count() -> usize {
    device::cuda_devices()
}

/// Where libtorch's CUDA part is looked for: the folder that the user names, else beside the rest of libtorch, else by the system.
fn places() -> Vec<PathBuf> {
    if let Some(folder) = env::var_os(FOLDER_VARIABLE).filter(|folder| !folder.is_empty()) {
        return vec![Path::new(&folder).join(LIBRARY)];
    }
    let beside = libtorch().and_then(|path| Some(path.parent()?.join(LIBRARY)));
    beside.into_iter().chain([PathBuf::from(LIBRARY)]).collect()
}

/// The file of libtorch that this process runs with.
pub fn libtorch() -> Option<PathBuf> {
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    let mut paths = maps.lines().filter_map(|line| line.find('/').map(|at| &line[at..]));
    paths.find(|path| path.ends_with("libtorch_cpu.so")).map(PathBuf::from)
}

fn open_first(places: &[PathBuf]) -> Result<PathBuf> {
    let mut looked = Vec::new();
    for place in places {
        // Global, so that its parts find each other's symbols.
        match Library::open(place, libc::RTLD_NOW | libc::RTLD_GLOBAL) {
            Ok(_) => return Ok(place.clone()),
            Err(_) if place.is_absolute() && !place.exists() => looked.push(format!("{} is not there", place.display())),
            Err(told) if place.is_absolute() => looked.push(format!("{}: {told}", place.display())),
            Err(told) => looked.push(format!("the system's library path: {told}")),
        }
    }
    Err(Error::runtime(format!(
        "libtorch's CUDA part cannot be opened ({}); set {FOLDER_VARIABLE} to the folder of a {LIBRARY} of version {} with CUDA, as in a \
         Python's torch/lib",
        looked.join("; "),
        option_env!("GRADCAST_LIBTORCH_VERSION").unwrap_or("that gradcast was built with")
    )))
}

/// A shared library, open until the process ends: libtorch registers itself for good, and the driver has no end.
struct Library(*mut c_void);

impl Library {
    /// Opens a file; the error is the linker's own sentence.
    fn open(path: &Path, flags: c_int) -> Result<Self, String> {
        let name = CString::new(path.as_os_str().as_bytes()).map_err(|_| "the name holds a zero".to_owned())?;
        // SAFETY: opening runs the library's constructors, which is what is wanted; the name ends in a zero.
        let handle = unsafe { libc::dlopen(name.as_ptr(), flags) };
        if handle.is_null() { Err(last_fault()) } else { Ok(Library(handle)) }
    }

    fn symbol(&self, name: &CStr) -> Result<*mut c_void> {
        // SAFETY: the library stays open.
        let address = unsafe { libc::dlsym(self.0, name.as_ptr()) };
        match address.is_null() {
            true => Err(Error::runtime(format!("{DRIVER} has no {}; install a newer NVIDIA driver", name.to_string_lossy()))),
            false => Ok(address),
        }
    }
}

fn last_fault() -> String {
    // SAFETY: the linker's text is valid until its next call in this thread.
    unsafe {
        let text = libc::dlerror();
        if text.is_null() { "unknown".to_owned() } else { CStr::from_ptr(text).to_string_lossy().into_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_is_absent_or_broken_is_told_with_its_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let (absent, broken) = (folder.path().join("absent/libtorch_cuda.so"), folder.path().join("libtorch_cuda.so"));
        fs::write(&broken, "no library").expect("a file");
        let message = open_first(&[absent.clone(), broken.clone()]).expect_err("no library").to_string();
        assert!(message.contains(&format!("{} is not there; {}: ", absent.display(), broken.display())), "{message}");
        assert!(message.contains(FOLDER_VARIABLE) && message.contains("2.11.0"), "{message}");
        assert!(!message.contains('\n'), "{message}");
    }

    #[test]
    fn libtorch_s_own_file_is_found() {
        // Any call makes sure that it is linked.
        assert_eq!(device::cuda_devices(), 0);
        assert!(libtorch().is_some_and(|path| path.is_file()));
    }
}
