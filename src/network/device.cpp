// Streams, events and page-locked memory of CUDA devices through libtorch's interface for any device. libtorch's CUDA part registers
// itself there when it is opened, so that neither CUDA's headers nor its libraries are needed to build or to start.

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/Event.h>
#include <c10/core/Stream.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

#include <cstdio>
#include <memory>

namespace {

constexpr auto CUDA = c10::DeviceType::CUDA;

c10::Device device(int index) {
    return c10::Device(CUDA, static_cast<c10::DeviceIndex>(index));
}

c10::Stream stream(int index, int64_t id) {
    return c10::Stream(c10::Stream::UNSAFE, device(index), id);
}

// 0 where `act` went through, else 1 with the message.
template <class Act>
int guarded(char* message, size_t room, Act act) {
    try {
        act();
        return 0;
    } catch (const std::exception& fault) {
        std::snprintf(message, room, "%s", fault.what());
    }
    return 1;
}

}  // namespace

extern "C" {

// CUDA devices that libtorch sees; 0 where its CUDA part is not open.
int gradcast_cuda_devices() {
    return c10::impl::hasDeviceGuardImpl(CUDA) ? c10::impl::getDeviceGuardImpl(CUDA)->deviceCount() : 0;
}

// For the whole process: f32 is multiplied in f32 and not in TF32, sums of products of bf16 stay in f32, and each convolution's fastest
// algorithm is looked for once.
int gradcast_cuda_settings(char* message, size_t room) {
    return guarded(message, room, [] {
        auto& context = at::globalContext();
        context.setAllowTF32CuDNN(false);
        context.setAllowTF32CuBLAS(false);
        context.setAllowBF16ReductionCuBLAS(false);
        context.setAllowFP16ReductionCuBLAS(false);
        context.setBenchmarkCuDNN(true);
    });
}

// A stream of the device's pool.
int gradcast_stream_take(int index, int64_t* id, char* message, size_t room) {
    return guarded(message, room, [&] { *id = c10::impl::getDeviceGuardImpl(CUDA)->getStreamFromGlobalPool(device(index)).id(); });
}

// Makes the device and the stream the calling thread's; the stream that was its before goes to `before`.
int gradcast_stream_use(int index, int64_t id, int64_t* before, char* message, size_t room) {
    return guarded(message, room, [&] {
        const auto* guard = c10::impl::getDeviceGuardImpl(CUDA);
        guard->setDevice(device(index));
        *before = guard->exchangeStream(stream(index, id)).id();
    });
}

// A timed event behind all that the calling thread's stream of the device was handed; null with a message.
void* gradcast_event_record(int index, char* message, size_t room) {
    c10::Event* event = nullptr;
    guarded(message, room, [&] {
        auto recorded = std::make_unique<c10::Event>(CUDA, c10::EventFlag::BACKEND_DEFAULT);
        recorded->record(c10::impl::getDeviceGuardImpl(CUDA)->getStream(device(index)));
        event = recorded.release();
    });
    return event;
}

// Milliseconds from one event to another; the device is past both.
int gradcast_event_elapsed(const void* from, const void* to, double* ms, char* message, size_t room) {
    return guarded(message, room, [&] { *ms = static_cast<const c10::Event*>(from)->elapsedTime(*static_cast<const c10::Event*>(to)); });
}

// What is handed to the stream from now on runs behind the event.
int gradcast_event_block(const void* event, int index, int64_t id, char* message, size_t room) {
    return guarded(message, room, [&] { static_cast<const c10::Event*>(event)->block(stream(index, id)); });
}

// Waits until the device is past the event.
int gradcast_event_wait(const void* event, char* message, size_t room) {
    return guarded(message, room, [&] { static_cast<const c10::Event*>(event)->synchronize(); });
}

void gradcast_event_free(void* event) {
    delete static_cast<c10::Event*>(event);
}

// The tensor's memory is not handed out again before the stream is past what it has now.
int gradcast_stream_holds(int index, int64_t id, const void* tensor, char* message, size_t room) {
    return guarded(message, room, [&] {
        const auto& storage = static_cast<const at::Tensor*>(tensor)->storage();
        c10::impl::getDeviceGuardImpl(CUDA)->recordDataPtrOnStream(storage.data_ptr(), stream(index, id));
    });
}

// An uninitialised f32 vector in page-locked memory; null with a message. libtorch keeps such memory and hands it out again.
void* gradcast_pinned(int64_t length, char* message, size_t room) {
    at::Tensor* made = nullptr;
    guarded(message, room, [&] { made = new at::Tensor(at::empty({length}, at::TensorOptions(at::kFloat).pinned_memory(true))); });
    return made;
}

// Bytes that tensors hold on the device, held at most since the last reset, and that libtorch keeps for tensors to come.
int gradcast_device_usage(int index, int64_t* now, int64_t* peak, int64_t* kept, int reset, char* message, size_t room) {
    return guarded(message, room, [&] {
        auto* allocator = c10::getDeviceAllocator(CUDA);
        const auto stats = allocator->getDeviceStats(static_cast<c10::DeviceIndex>(index));
        // The first of the statistics is over all pools.
        *now = stats.allocated_bytes[0].current;
        *peak = stats.allocated_bytes[0].peak;
        *kept = stats.reserved_bytes[0].current - stats.allocated_bytes[0].current;
        if (reset) {
            allocator->resetPeakStats(static_cast<c10::DeviceIndex>(index));
        }
    });
}
}
