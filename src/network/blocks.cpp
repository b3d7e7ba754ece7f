// Lets libtorch take the memory of tensors on the processor from the pool in blocks.rs.

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>

#include <cstring>

extern "C" {
void* gradcast_take_block(size_t bytes);
void gradcast_give_block(void* data);
}

namespace {

class Blocks final : public c10::Allocator {
  public:
    c10::DataPtr allocate(size_t bytes) override {
        if (bytes == 0) {
            return {nullptr, nullptr, &gradcast_give_block, c10::Device(c10::DeviceType::CPU)};
        }
        void* data = gradcast_take_block(bytes);
        TORCH_CHECK_WITH(OutOfMemoryError, data != nullptr, "DefaultCPUAllocator: can't allocate memory: you tried to allocate ", bytes,
                         " bytes.");
        return {data, data, &gradcast_give_block, c10::Device(c10::DeviceType::CPU)};
    }

    c10::DeleterFnPtr raw_deleter() const override {
        return &gradcast_give_block;
    }

    void copy_data(void* target, const void* source, std::size_t bytes) const override {
        std::memcpy(target, source, bytes);
    }
};

Blocks blocks;

}  // namespace

extern "C" void gradcast_install_allocator() {
    c10::SetCPUAllocator(&blocks, 1);
}
