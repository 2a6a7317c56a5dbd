//===- EvaluateBody.cpp - Scalar bodies as programs over blocks -----------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One kernel per scalar op of arith and math; those of integers are in
// EvaluateIntegers.cpp. This file is compiled without contraction of
// floating-point expressions: each op rounds once.
//
//===----------------------------------------------------------------------===//

#include "EvaluateBody.h"

#include "EvaluateIntegers.h"
#include "headrace/Dialect/HR/HR.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/ADT/bit.h"
#include <cmath>
#include <cstring>

using namespace mlir;
using namespace headrace;
using namespace headrace::evaluate;

//===----------------------------------------------------------------------===//
// Elements
//===----------------------------------------------------------------------===//

namespace {
enum class Kind { F64, F32, BF16, F16, Int };
} // namespace

static Kind kindOf(Type type) {
  if (type.isF64())
    return Kind::F64;
  if (type.isF32())
    return Kind::F32;
  if (type.isBF16())
    return Kind::BF16;
  if (type.isF16())
    return Kind::F16;
  return Kind::Int;
}

static float fromBF16(uint16_t bits) {
  return llvm::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}
static uint16_t toBF16(float value) {
  uint32_t bits = llvm::bit_cast<uint32_t>(value);
  if (std::isnan(value))
    return 0x7fc0;
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}
static float fromF16(uint16_t bits) {
  llvm::APFloat value(llvm::APFloat::IEEEhalf(), llvm::APInt(16, bits));
  bool lost;
  value.convert(llvm::APFloat::IEEEsingle(),
                llvm::APFloat::rmNearestTiesToEven, &lost);
  return value.convertToFloat();
}
static uint16_t toF16(float number) {
  if (std::isnan(number))
    return 0x7e00;
  llvm::APFloat value(number);
  bool lost;
  value.convert(llvm::APFloat::IEEEhalf(), llvm::APFloat::rmNearestTiesToEven,
                &lost);
  return static_cast<uint16_t>(value.bitcastToAPInt().getZExtValue());
}

template <Kind kind> static float roundTo(float value) {
  if constexpr (kind == Kind::BF16)
    return fromBF16(toBF16(value));
  if constexpr (kind == Kind::F16)
    return fromF16(toF16(value));
  return value;
}

template <typename T> static T readAt(const char *from, int64_t index) {
  T value;
  std::memcpy(&value, from + index * static_cast<int64_t>(sizeof(T)),
              sizeof(T));
  return value;
}
template <typename T> static void writeAt(char *to, int64_t index, T value) {
  std::memcpy(to + index * static_cast<int64_t>(sizeof(T)), &value, sizeof(T));
}

void evaluate::load(Type type, const char *from, int64_t stride,
                    unsigned count, Cell *to) {
  auto each = [&](auto &&read) {
    for (unsigned n = 0; n < count; ++n)
      read(static_cast<int64_t>(n) * stride, to[n]);
  };
  switch (kindOf(type)) {
  case Kind::F64:
    return each([&](int64_t at, Cell &c) { c.d = readAt<double>(from, at); });
  case Kind::F32:
    return each([&](int64_t at, Cell &c) { c.f = readAt<float>(from, at); });
  case Kind::BF16:
    return each([&](int64_t at, Cell &c) {
      c.f = fromBF16(readAt<uint16_t>(from, at));
    });
  case Kind::F16:
    return each([&](int64_t at, Cell &c) {
      c.f = fromF16(readAt<uint16_t>(from, at));
    });
  case Kind::Int:
    break;
  }
  unsigned width = widthOf(type);
  if (width == 1)
    return each([&](int64_t at, Cell &c) { c.i = from[at] ? -1 : 0; });
  if (width <= 8)
    return each([&](int64_t at, Cell &c) { c.i = readAt<int8_t>(from, at); });
  if (width == 16)
    return each([&](int64_t at, Cell &c) { c.i = readAt<int16_t>(from, at); });
  if (width == 32)
    return each([&](int64_t at, Cell &c) { c.i = readAt<int32_t>(from, at); });
  each([&](int64_t at, Cell &c) { c.i = readAt<int64_t>(from, at); });
}

void evaluate::store(Type type, const Cell *from, unsigned count,
                     int64_t stride, char *to) {
  auto each = [&](auto &&write) {
    for (unsigned n = 0; n < count; ++n)
      write(static_cast<int64_t>(n) * stride, from[n]);
  };
  // Which NaN an operation gives differs between machines; one is stored.
  switch (kindOf(type)) {
  case Kind::F64:
    return each([&](int64_t at, Cell c) {
      writeAt<double>(to, at,
                      std::isnan(c.d)
                          ? std::numeric_limits<double>::quiet_NaN()
                          : c.d);
    });
  case Kind::F32:
    return each([&](int64_t at, Cell c) {
      writeAt<float>(to, at,
                     std::isnan(c.f) ? std::numeric_limits<float>::quiet_NaN()
                                     : c.f);
    });
  case Kind::BF16:
    return each(
        [&](int64_t at, Cell c) { writeAt<uint16_t>(to, at, toBF16(c.f)); });
  case Kind::F16:
    return each(
        [&](int64_t at, Cell c) { writeAt<uint16_t>(to, at, toF16(c.f)); });
  case Kind::Int:
    break;
  }
  unsigned width = widthOf(type);
  if (width == 1)
    return each([&](int64_t at, Cell c) { to[at] = c.i ? 1 : 0; });
  if (width <= 8)
    return each([&](int64_t at, Cell c) { writeAt<int8_t>(to, at, c.i); });
  if (width == 16)
    return each([&](int64_t at, Cell c) { writeAt<int16_t>(to, at, c.i); });
  if (width == 32)
    return each([&](int64_t at, Cell c) { writeAt<int32_t>(to, at, c.i); });
  each([&](int64_t at, Cell c) { writeAt<int64_t>(to, at, c.i); });
}

Cell evaluate::fromAttribute(Attribute attr) {
  Cell cell;
  cell.i = 0;
  if (auto integer = dyn_cast<IntegerAttr>(attr)) {
    cell.i = integer.getValue().getSExtValue();
    return cell;
  }
  llvm::APFloat value = cast<FloatAttr>(attr).getValue();
  if (kindOf(cast<FloatAttr>(attr).getType()) == Kind::F64) {
    cell.d = value.convertToDouble();
    return cell;
  }
  bool lost;
  value.convert(llvm::APFloat::IEEEsingle(),
                llvm::APFloat::rmNearestTiesToEven, &lost);
  cell.f = value.convertToFloat();
  return cell;
}

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

/// A kernel of one to three float operands and a float result of `type`.
template <unsigned arity, typename Fn>
static Kernel floatKernel(Type type, Fn fn) {
  auto make = [&](auto kindTag) -> Kernel {
    constexpr Kind kind = decltype(kindTag)::value;
    return [fn](ArrayRef<const Cell *> in, Cell *out, unsigned count, bool &) {
      for (unsigned n = 0; n < count; ++n) {
        if constexpr (kind == Kind::F64) {
          if constexpr (arity == 1)
            out[n].d = fn(in[0][n].d);
          else if constexpr (arity == 2)
            out[n].d = fn(in[0][n].d, in[1][n].d);
          else
            out[n].d = fn(in[0][n].d, in[1][n].d, in[2][n].d);
        } else {
          float value;
          if constexpr (arity == 1)
            value = fn(in[0][n].f);
          else if constexpr (arity == 2)
            value = fn(in[0][n].f, in[1][n].f);
          else
            value = fn(in[0][n].f, in[1][n].f, in[2][n].f);
          out[n].f = roundTo<kind>(value);
        }
      }
    };
  };
  switch (kindOf(type)) {
  case Kind::F64:
    return make(std::integral_constant<Kind, Kind::F64>());
  case Kind::F32:
    return make(std::integral_constant<Kind, Kind::F32>());
  case Kind::BF16:
    return make(std::integral_constant<Kind, Kind::BF16>());
  case Kind::F16:
    return make(std::integral_constant<Kind, Kind::F16>());
  case Kind::Int:
    return nullptr;
  }
  return nullptr;
}

static Kernel getExactFloatKernel(Operation *op) {
  Type type = op->getResult(0).getType();
  return TypeSwitch<Operation *, Kernel>(op)
      .Case([&](arith::AddFOp) {
        return floatKernel<2>(type, [](auto a, auto b) { return a + b; });
      })
      .Case([&](arith::SubFOp) {
        return floatKernel<2>(type, [](auto a, auto b) { return a - b; });
      })
      .Case([&](arith::MulFOp) {
        return floatKernel<2>(type, [](auto a, auto b) { return a * b; });
      })
      .Case([&](arith::DivFOp) {
        return floatKernel<2>(type, [](auto a, auto b) { return a / b; });
      })
      .Case([&](arith::RemFOp) {
        return floatKernel<2>(type,
                              [](auto a, auto b) { return std::fmod(a, b); });
      })
      .Case([&](arith::NegFOp) {
        return floatKernel<1>(type, [](auto a) { return -a; });
      })
      .Case([&](math::AbsFOp) {
        return floatKernel<1>(type, [](auto a) { return std::fabs(a); });
      })
      .Case([&](arith::MaximumFOp) {
        return floatKernel<2>(type, [](auto a, auto b) {
          if (std::isnan(a) || std::isnan(b))
            return a + b;
          if (a == b)
            return std::signbit(a) ? b : a;
          return a > b ? a : b;
        });
      })
      .Case([&](arith::MinimumFOp) {
        return floatKernel<2>(type, [](auto a, auto b) {
          if (std::isnan(a) || std::isnan(b))
            return a + b;
          if (a == b)
            return std::signbit(a) ? a : b;
          return a < b ? a : b;
        });
      })
      .Case([&](arith::MaxNumFOp) {
        return floatKernel<2>(type, [](auto a, auto b) {
          if (std::isnan(a) || std::isnan(b))
            return std::isnan(a) ? b : a;
          if (a == b)
            return std::signbit(a) ? b : a;
          return a > b ? a : b;
        });
      })
      .Case([&](arith::MinNumFOp) {
        return floatKernel<2>(type, [](auto a, auto b) {
          if (std::isnan(a) || std::isnan(b))
            return std::isnan(a) ? b : a;
          if (a == b)
            return std::signbit(a) ? a : b;
          return a < b ? a : b;
        });
      })
      .Case([&](math::FmaOp) {
        return floatKernel<3>(
            type, [](auto a, auto b, auto c) { return std::fma(a, b, c); });
      })
      .Case([&](math::SqrtOp) {
        return floatKernel<1>(type, [](auto a) { return std::sqrt(a); });
      })
      .Case([&](math::FloorOp) {
        return floatKernel<1>(type, [](auto a) { return std::floor(a); });
      })
      .Case([&](math::CeilOp) {
        return floatKernel<1>(type, [](auto a) { return std::ceil(a); });
      })
      .Case([&](math::TruncOp) {
        return floatKernel<1>(type, [](auto a) { return std::trunc(a); });
      })
      .Case([&](math::RoundOp) {
        return floatKernel<1>(type, [](auto a) { return std::round(a); });
      })
      .Case([&](math::RoundEvenOp) {
        return floatKernel<1>(type,
                              [](auto a) { return std::nearbyint(a); });
      })
      .Case([&](math::CopySignOp) {
        return floatKernel<2>(
            type, [](auto a, auto b) { return std::copysign(a, b); });
      })
      .Default([](Operation *) -> Kernel { return nullptr; });
}

static Kernel getHostMathKernel(Operation *op) {
  Type type = op->getResult(0).getType();
  return TypeSwitch<Operation *, Kernel>(op)
#define UNARY(Op, call)                                                        \
  .Case([&](math::Op) {                                                        \
    return floatKernel<1>(type, [](auto a) { return call; });                  \
  })
      UNARY(ExpOp, std::exp(a)) UNARY(Exp2Op, std::exp2(a))
          UNARY(ExpM1Op, std::expm1(a)) UNARY(LogOp, std::log(a))
              UNARY(Log1pOp, std::log1p(a)) UNARY(Log2Op, std::log2(a))
                  UNARY(Log10Op, std::log10(a)) UNARY(TanhOp, std::tanh(a))
                      UNARY(ErfOp, std::erf(a)) UNARY(SinOp, std::sin(a))
                          UNARY(CosOp, std::cos(a)) UNARY(TanOp, std::tan(a))
                              UNARY(AtanOp, std::atan(a))
                                  UNARY(RsqrtOp, 1 / std::sqrt(a))
                                      UNARY(CbrtOp, std::cbrt(a))
#undef UNARY
      .Case([&](math::PowFOp) {
        return floatKernel<2>(type,
                              [](auto a, auto b) { return std::pow(a, b); });
      })
      .Case([&](math::Atan2Op) {
        return floatKernel<2>(type,
                              [](auto a, auto b) { return std::atan2(a, b); });
      })
      .Default([](Operation *) -> Kernel { return nullptr; });
}

static Kernel getCmpFKernel(arith::CmpFOp op) {
  arith::CmpFPredicate predicate = op.getPredicate();
  bool wide = kindOf(op.getLhs().getType()) == Kind::F64;
  return [predicate, wide](ArrayRef<const Cell *> in, Cell *out,
                           unsigned count, bool &) {
    for (unsigned n = 0; n < count; ++n) {
      double a = wide ? in[0][n].d : in[0][n].f;
      double b = wide ? in[1][n].d : in[1][n].f;
      llvm::APFloat::cmpResult order =
          std::isnan(a) || std::isnan(b) ? llvm::APFloat::cmpUnordered
          : a < b                        ? llvm::APFloat::cmpLessThan
          : a > b                        ? llvm::APFloat::cmpGreaterThan
                                         : llvm::APFloat::cmpEqual;
      bool value = false;
      bool unordered = order == llvm::APFloat::cmpUnordered;
      bool less = order == llvm::APFloat::cmpLessThan;
      bool greater = order == llvm::APFloat::cmpGreaterThan;
      bool equal = order == llvm::APFloat::cmpEqual;
      using P = arith::CmpFPredicate;
      switch (predicate) {
      case P::AlwaysFalse: value = false; break;
      case P::OEQ: value = equal; break;
      case P::OGT: value = greater; break;
      case P::OGE: value = greater || equal; break;
      case P::OLT: value = less; break;
      case P::OLE: value = less || equal; break;
      case P::ONE: value = less || greater; break;
      case P::ORD: value = !unordered; break;
      case P::UEQ: value = unordered || equal; break;
      case P::UGT: value = unordered || greater; break;
      case P::UGE: value = !less; break;
      case P::ULT: value = unordered || less; break;
      case P::ULE: value = !greater; break;
      case P::UNE: value = !equal; break;
      case P::UNO: value = unordered; break;
      case P::AlwaysTrue: value = true; break;
      }
      out[n].i = value ? -1 : 0;
    }
  };
}

/// Conversions between kinds of numbers.
static Kernel getCastKernel(Operation *op) {
  if (op->getNumOperands() != 1)
    return nullptr;
  Type from = op->getOperand(0).getType();
  Type to = op->getResult(0).getType();
  if (!from.isIntOrIndexOrFloat() || !to.isIntOrIndexOrFloat())
    return nullptr;
  unsigned fromWidth = widthOf(from), toWidth = widthOf(to);
  bool fromWide = from.isF64();
  if (isa<arith::ExtSIOp, arith::TruncIOp, arith::IndexCastOp>(op))
    return [toWidth](ArrayRef<const Cell *> in, Cell *out, unsigned count,
                     bool &) {
      for (unsigned n = 0; n < count; ++n)
        out[n].i = wrap(in[0][n].i, toWidth);
    };
  if (isa<arith::ExtUIOp, arith::IndexCastUIOp>(op))
    return [fromWidth, toWidth](ArrayRef<const Cell *> in, Cell *out,
                                unsigned count, bool &) {
      for (unsigned n = 0; n < count; ++n)
        out[n].i = wrap(zeroExtended(in[0][n].i, fromWidth), toWidth);
    };
  if (isa<arith::ExtFOp, arith::TruncFOp>(op)) {
    Kind kind = kindOf(to);
    return [fromWide, kind](ArrayRef<const Cell *> in, Cell *out,
                            unsigned count, bool &undefined) {
      for (unsigned n = 0; n < count; ++n) {
        if (kind == Kind::F64) {
          out[n].d = fromWide ? in[0][n].d : in[0][n].f;
          continue;
        }
        if (fromWide && kind != Kind::F32) {
          // Straight from f64: by way of f32 it would round twice.
          llvm::APFloat value(in[0][n].d);
          bool lost;
          value.convert(kind == Kind::BF16 ? llvm::APFloat::BFloat()
                                           : llvm::APFloat::IEEEhalf(),
                        llvm::APFloat::rmNearestTiesToEven, &lost);
          value.convert(llvm::APFloat::IEEEsingle(),
                        llvm::APFloat::rmNearestTiesToEven, &lost);
          out[n].f = value.convertToFloat();
          continue;
        }
        float value =
            fromWide ? static_cast<float>(in[0][n].d) : in[0][n].f;
        out[n].f = kind == Kind::BF16  ? roundTo<Kind::BF16>(value)
                   : kind == Kind::F16 ? roundTo<Kind::F16>(value)
                                       : value;
      }
    };
  }
  if (isa<arith::SIToFPOp, arith::UIToFPOp>(op)) {
    bool isSigned = isa<arith::SIToFPOp>(op);
    Kind kind = kindOf(to);
    return [=](ArrayRef<const Cell *> in, Cell *out, unsigned count, bool &) {
      for (unsigned n = 0; n < count; ++n) {
        int64_t s = in[0][n].i;
        uint64_t u = zeroExtended(s, fromWidth);
        if (kind == Kind::F64) {
          out[n].d = isSigned ? static_cast<double>(s)
                              : static_cast<double>(u);
          continue;
        }
        if (kind == Kind::F32) {
          out[n].f =
              isSigned ? static_cast<float>(s) : static_cast<float>(u);
          continue;
        }
        llvm::APFloat value(kind == Kind::BF16 ? llvm::APFloat::BFloat()
                                               : llvm::APFloat::IEEEhalf());
        value.convertFromAPInt(llvm::APInt(64, isSigned ? uint64_t(s) : u),
                               isSigned,
                               llvm::APFloat::rmNearestTiesToEven);
        bool lost;
        value.convert(llvm::APFloat::IEEEsingle(),
                      llvm::APFloat::rmNearestTiesToEven, &lost);
        out[n].f = value.convertToFloat();
      }
    };
  }
  if (isa<arith::FPToSIOp, arith::FPToUIOp>(op)) {
    bool isSigned = isa<arith::FPToSIOp>(op);
    return [=](ArrayRef<const Cell *> in, Cell *out, unsigned count,
               bool &undefined) {
      for (unsigned n = 0; n < count; ++n) {
        llvm::APFloat value(fromWide ? in[0][n].d
                                     : static_cast<double>(in[0][n].f));
        llvm::APSInt integer(toWidth, !isSigned);
        bool exact;
        if (value.convertToInteger(integer, llvm::APFloat::rmTowardZero,
                                   &exact) == llvm::APFloat::opInvalidOp) {
          undefined = true;
          out[n].i = 0;
          continue;
        }
        out[n].i = wrap(static_cast<int64_t>(isSigned
                                                 ? integer.getSExtValue()
                                                 : integer.getZExtValue()),
                        toWidth);
      }
    };
  }
  if (isa<arith::BitcastOp>(op)) {
    if (widthOf(from) < 8)
      return nullptr;
    return [from, to](ArrayRef<const Cell *> in, Cell *out, unsigned count,
                      bool &) {
      char bytes[8];
      for (unsigned n = 0; n < count; ++n) {
        store(from, &in[0][n], 1, 1, bytes);
        load(to, bytes, 1, 1, &out[n]);
      }
    };
  }
  return nullptr;
}

static Kernel getOtherKernel(Operation *op) {
  // Data that breaks a condition is the call's error: nothing is defined here.
  if (isa<hr::CheckOp>(op))
    return [](ArrayRef<const Cell *> in, Cell *out, unsigned count, bool &bad) {
      for (unsigned n = 0; n < count; ++n) {
        bad |= in[0][n].i == 0;
        out[n] = in[1][n];
      }
    };
  if (auto select = dyn_cast<arith::SelectOp>(op))
    return [](ArrayRef<const Cell *> in, Cell *out, unsigned count, bool &) {
      for (unsigned n = 0; n < count; ++n)
        out[n] = in[0][n].i ? in[1][n] : in[2][n];
    };
  if (isa<math::IsNaNOp, math::IsInfOp, math::IsFiniteOp>(op)) {
    bool wide = op->getOperand(0).getType().isF64();
    int what = isa<math::IsNaNOp>(op) ? 0 : isa<math::IsInfOp>(op) ? 1 : 2;
    return [wide, what](ArrayRef<const Cell *> in, Cell *out, unsigned count,
                        bool &) {
      for (unsigned n = 0; n < count; ++n) {
        double a = wide ? in[0][n].d : in[0][n].f;
        bool value = what == 0   ? std::isnan(a)
                     : what == 1 ? std::isinf(a)
                                 : std::isfinite(a);
        out[n].i = value ? -1 : 0;
      }
    };
  }
  return nullptr;
}

Kernel evaluate::getKernel(Operation *op, bool hostMath) {
  if (op->getNumResults() != 1 || op->getNumRegions() != 0)
    return nullptr;
  if (auto cmp = dyn_cast<arith::CmpFOp>(op))
    return getCmpFKernel(cmp);
  if (Kernel kernel = getIntegerKernel(op))
    return kernel;
  if (Kernel kernel = getExactFloatKernel(op))
    return kernel;
  if (Kernel kernel = getCastKernel(op))
    return kernel;
  if (Kernel kernel = getOtherKernel(op))
    return kernel;
  return hostMath ? getHostMathKernel(op) : Kernel();
}

//===----------------------------------------------------------------------===//
// Bodies
//===----------------------------------------------------------------------===//

LogicalResult Body::compile(Block &block, bool hostMath,
                            function_ref<FailureOr<Cell>(Value)> outside,
                            std::string &error) {
  llvm::DenseMap<Value, unsigned> numbers;
  auto define = [&](Value value) {
    numbers[value] = registers.size();
    registers.emplace_back(blockSize);
    return static_cast<unsigned>(registers.size() - 1);
  };
  for (BlockArgument argument : block.getArguments())
    define(argument);

  auto use = [&](Value value) -> FailureOr<unsigned> {
    auto it = numbers.find(value);
    if (it != numbers.end())
      return it->second;
    FailureOr<Cell> cell = outside(value);
    if (failed(cell)) {
      error = "a scalar from above is not known";
      return failure();
    }
    unsigned number = define(value);
    registers[number].assign(blockSize, *cell);
    return number;
  };

  for (Operation &op : block.without_terminator()) {
    if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
      if (!constant.getType().isIntOrIndexOrFloat()) {
        error = "a body holds a constant that is no scalar";
        return failure();
      }
      unsigned number = define(constant.getResult());
      registers[number].assign(blockSize, fromAttribute(constant.getValue()));
      continue;
    }
    // A size stands for itself, wherever it is.
    if (isa<hr::SizeOp>(op)) {
      if (failed(use(op.getResult(0))))
        return failure();
      continue;
    }
    if (auto index = dyn_cast<linalg::IndexOp>(op)) {
      unsigned number = define(index.getResult());
      indexOps.push_back({static_cast<unsigned>(index.getDim()), number});
      continue;
    }
    // A way around for arguments that constants hardly have (sine and cosine of
    // very large ones): without it, where no element takes it.
    if (auto branch = dyn_cast<scf::IfOp>(op);
        branch && branch.elseBlock() &&
        branch.elseBlock()->without_terminator().empty()) {
      FailureOr<unsigned> condition = use(branch.getCondition());
      if (failed(condition))
        return failure();
      Step check;
      check.kernel = [](ArrayRef<const Cell *> in, Cell *, unsigned count,
                        bool &undefined) {
        for (unsigned n = 0; n < count; ++n)
          undefined |= in[0][n].i != 0;
      };
      check.operands.push_back(*condition);
      check.result = *condition;
      steps.push_back(std::move(check));
      for (auto [result, value] : llvm::zip_equal(
               branch.getResults(),
               branch.elseBlock()->getTerminator()->getOperands())) {
        FailureOr<unsigned> number = use(value);
        if (failed(number))
          return failure();
        numbers[result] = *number;
      }
      continue;
    }
    Step step;
    step.kernel = getKernel(&op, hostMath);
    if (!step.kernel) {
      error = ("cannot evaluate " + op.getName().getStringRef()).str();
      return failure();
    }
    for (Value operand : op.getOperands()) {
      FailureOr<unsigned> number = use(operand);
      if (failed(number))
        return failure();
      step.operands.push_back(*number);
    }
    step.result = define(op.getResult(0));
    steps.push_back(std::move(step));
  }
  for (Value value : block.getTerminator()->getOperands()) {
    FailureOr<unsigned> number = use(value);
    if (failed(number))
      return failure();
    yields.push_back(*number);
  }
  return success();
}

bool Body::run(unsigned count) {
  bool undefined = false;
  SmallVector<const Cell *, 3> in;
  for (Step &step : steps) {
    in.clear();
    for (unsigned number : step.operands)
      in.push_back(registers[number].data());
    step.kernel(in, registers[step.result].data(), count, undefined);
  }
  return !undefined;
}
