// Reaches two operators that libtorch registers but exports no function for: a convolution with its activation in one oneDNN call,
// and the layout of weights that oneDNN wants. Called through the dispatcher, as boxed values, so that no symbol of theirs is needed.

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <cstdio>
#include <string>
#include <vector>

namespace {

void keep(const char* what, char* message, size_t room) {
    std::snprintf(message, room, "%s", what);
}

at::Tensor call(const c10::OperatorHandle& op, std::vector<c10::IValue> stack) {
    op.callBoxed(stack);
    return stack.at(0).toTensor();
}

c10::OperatorHandle find(const char* name, const char* overload) {
    return c10::Dispatcher::singleton().findSchemaOrThrow(name, overload);
}

at::Tensor tensor(const void* t) {
    return *static_cast<const at::Tensor*>(t);
}

c10::IValue optional(const void* t) {
    return t ? c10::IValue(tensor(t)) : c10::IValue();
}

std::vector<int64_t> pair(const int64_t* values) {
    return {values[0], values[1]};
}

}  // namespace

extern "C" {

// y = act(conv(x, weight) + bias). `activation` is "none", "relu" or "hardtanh"; the latter takes its two bounds from `bounds`.
// Returns a new at::Tensor, or null with a message.
void* gradcast_convolution_pointwise(const void* x, const void* weight, const void* bias, const int64_t* padding, const int64_t* stride,
                                     const int64_t* dilation, int64_t groups, const char* activation, const double* bounds,
                                     char* message, size_t room) {
    try {
        c10::List<std::optional<at::Scalar>> scalars;
        if (std::string(activation) == "hardtanh") {
            scalars.push_back(at::Scalar(bounds[0]));
            scalars.push_back(at::Scalar(bounds[1]));
        }
        static const auto op = find("mkldnn::_convolution_pointwise", "");
        std::vector<c10::IValue> stack{tensor(x),    tensor(weight),   optional(bias), pair(padding),           pair(stride),
                                       pair(dilation), groups, std::string(activation), std::move(scalars), c10::IValue()};
        return new at::Tensor(call(op, std::move(stack)));
    } catch (const std::exception& fault) {
        keep(fault.what(), message, room);
    }
    return nullptr;
}

// y = act(conv(x, weight) + bias + y), where act is the rectifier or nothing. Returns y as a new at::Tensor on the same memory, or null
// with a message.
void* gradcast_convolution_add(const void* x, const void* y, const void* weight, const void* bias, const int64_t* padding,
                               const int64_t* stride, const int64_t* dilation, int64_t groups, int rectified, char* message,
                               size_t room) {
    try {
        static const auto op = find("mkldnn::_convolution_pointwise_", "binary");
        const c10::IValue unary = rectified ? c10::IValue(std::string("relu")) : c10::IValue();
        std::vector<c10::IValue> stack{tensor(y),      tensor(x), tensor(weight),     optional(bias), pair(padding), pair(stride),
                                       pair(dilation), groups,    std::string("add"), c10::IValue(),  unary,
                                       c10::List<std::optional<at::Scalar>>(), c10::IValue()};
        return new at::Tensor(call(op, std::move(stack)));
    } catch (const std::exception& fault) {
        keep(fault.what(), message, room);
    }
    return nullptr;
}

// The weights in the layout that oneDNN chooses for inputs of this size. Returns a new at::Tensor, or null with a message.
void* gradcast_reorder_convolution_weight(const void* weight, const int64_t* padding, const int64_t* stride, const int64_t* dilation,
                                          int64_t groups, const int64_t* input_size, char* message, size_t room) {
    try {
        const std::vector<int64_t> size(input_size, input_size + 4);
        std::vector<c10::IValue> stack{tensor(weight), pair(padding), pair(stride), pair(dilation), groups, size};
        return new at::Tensor(call(find("mkldnn::_reorder_convolution_weight", ""), std::move(stack)));
    } catch (const std::exception& fault) {
        keep(fault.what(), message, room);
    }
    return nullptr;
}
}
