//===- EvaluateIntegers.cpp - Kernels of integers -------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "EvaluateIntegers.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/APInt.h"
#include "llvm/ADT/TypeSwitch.h"
#include <algorithm>
#include <limits>

using namespace mlir;
using namespace headrace;
using namespace headrace::evaluate;

//===----------------------------------------------------------------------===//
// Two operands
//===----------------------------------------------------------------------===//

/// A kernel of two integer operands. `fn` gets them, their width, and what to
/// set where there is no defined result.
template <typename Fn> static Kernel intKernel(Type type, Fn fn) {
  if (!type.isIntOrIndex())
    return nullptr;
  unsigned width = widthOf(type);
  return [fn, width](ArrayRef<const Cell *> in, Cell *out, unsigned count,
                     bool &undefined) {
    for (unsigned n = 0; n < count; ++n)
      out[n].i = wrap(fn(in[0][n].i, in[1][n].i, width, undefined), width);
  };
}

/// A kernel that is defined everywhere and the same for all widths.
template <typename Fn> static Kernel totalKernel(Type type, Fn fn) {
  return intKernel(type, [fn](int64_t a, int64_t b, unsigned, bool &) {
    return fn(a, b);
  });
}

/// `fn` computes in unsigned numbers, where overflow is defined.
template <typename Fn> static Kernel wrappingKernel(Type type, Fn fn) {
  return totalKernel(type, [fn](int64_t a, int64_t b) {
    return static_cast<int64_t>(
        fn(static_cast<uint64_t>(a), static_cast<uint64_t>(b)));
  });
}

/// Sums, products, bits and extrema.
static Kernel getTotalKernel(Operation *op) {
  Type type = op->getResult(0).getType();
  using U = uint64_t;
  return TypeSwitch<Operation *, Kernel>(op)
      .Case([&](arith::AddIOp) {
        return wrappingKernel(type, [](U a, U b) { return a + b; });
      })
      .Case([&](arith::SubIOp) {
        return wrappingKernel(type, [](U a, U b) { return a - b; });
      })
      .Case([&](arith::MulIOp) {
        return wrappingKernel(type, [](U a, U b) { return a * b; });
      })
      .Case([&](arith::AndIOp) {
        return wrappingKernel(type, [](U a, U b) { return a & b; });
      })
      .Case([&](arith::OrIOp) {
        return wrappingKernel(type, [](U a, U b) { return a | b; });
      })
      .Case([&](arith::XOrIOp) {
        return wrappingKernel(type, [](U a, U b) { return a ^ b; });
      })
      .Case([&](arith::MaxSIOp) {
        return totalKernel(
            type, [](int64_t a, int64_t b) { return std::max(a, b); });
      })
      .Case([&](arith::MinSIOp) {
        return totalKernel(
            type, [](int64_t a, int64_t b) { return std::min(a, b); });
      })
      // Sign extension keeps the unsigned order.
      .Case([&](arith::MaxUIOp) {
        return wrappingKernel(type, [](U a, U b) { return a > b ? a : b; });
      })
      .Case([&](arith::MinUIOp) {
        return wrappingKernel(type, [](U a, U b) { return a < b ? a : b; });
      })
      .Default([](Operation *) -> Kernel { return nullptr; });
}

static int64_t floorDiv(int64_t a, int64_t b) {
  int64_t quotient = a / b;
  return quotient - ((a % b != 0) && ((a < 0) != (b < 0)));
}

/// Division that would trap or overflow.
static bool noQuotient(int64_t a, int64_t b) {
  return b == 0 || (b == -1 && a == std::numeric_limits<int64_t>::min());
}

template <typename Fn> static Kernel signedDivision(Type type, Fn fn) {
  return intKernel(type,
                   [fn](int64_t a, int64_t b, unsigned, bool &undefined) {
                     if (noQuotient(a, b)) {
                       undefined = true;
                       return int64_t(0);
                     }
                     return fn(a, b);
                   });
}

template <typename Fn> static Kernel unsignedDivision(Type type, Fn fn) {
  return intKernel(
      type, [fn](int64_t a, int64_t b, unsigned width, bool &undefined) {
        if (b == 0) {
          undefined = true;
          return int64_t(0);
        }
        return static_cast<int64_t>(
            fn(zeroExtended(a, width), zeroExtended(b, width)));
      });
}

/// Quotients and remainders.
static Kernel getDivisionKernel(Operation *op) {
  Type type = op->getResult(0).getType();
  return TypeSwitch<Operation *, Kernel>(op)
      .Case([&](arith::DivSIOp) {
        return signedDivision(type,
                              [](int64_t a, int64_t b) { return a / b; });
      })
      .Case([&](arith::RemSIOp) {
        return signedDivision(type,
                              [](int64_t a, int64_t b) { return a % b; });
      })
      .Case([&](arith::FloorDivSIOp) {
        return signedDivision(
            type, [](int64_t a, int64_t b) { return floorDiv(a, b); });
      })
      .Case([&](arith::CeilDivSIOp) {
        return signedDivision(
            type, [](int64_t a, int64_t b) { return -floorDiv(-a, b); });
      })
      .Case([&](arith::DivUIOp) {
        return unsignedDivision(type,
                                [](uint64_t a, uint64_t b) { return a / b; });
      })
      .Case([&](arith::RemUIOp) {
        return unsignedDivision(type,
                                [](uint64_t a, uint64_t b) { return a % b; });
      })
      .Default([](Operation *) -> Kernel { return nullptr; });
}

/// `fn` gets the number, by how much it is shifted, and the width.
template <typename Fn> static Kernel shiftKernel(Type type, Fn fn) {
  return intKernel(
      type, [fn](int64_t a, int64_t b, unsigned width, bool &undefined) {
        uint64_t by = zeroExtended(b, width);
        if (by >= width) {
          undefined = true;
          return int64_t(0);
        }
        return static_cast<int64_t>(fn(a, by, width));
      });
}

static Kernel getShiftKernel(Operation *op) {
  Type type = op->getResult(0).getType();
  return TypeSwitch<Operation *, Kernel>(op)
      .Case([&](arith::ShLIOp) {
        return shiftKernel(type, [](int64_t a, uint64_t by, unsigned) {
          return static_cast<uint64_t>(a) << by;
        });
      })
      .Case([&](arith::ShRSIOp) {
        return shiftKernel(
            type, [](int64_t a, uint64_t by, unsigned) { return a >> by; });
      })
      .Case([&](arith::ShRUIOp) {
        return shiftKernel(type, [](int64_t a, uint64_t by, unsigned width) {
          return zeroExtended(a, width) >> by;
        });
      })
      .Default([](Operation *) -> Kernel { return nullptr; });
}

static Kernel getComparison(arith::CmpIOp op) {
  arith::CmpIPredicate predicate = op.getPredicate();
  unsigned width = widthOf(op.getLhs().getType());
  return [predicate, width](ArrayRef<const Cell *> in, Cell *out,
                            unsigned count, bool &) {
    for (unsigned n = 0; n < count; ++n) {
      llvm::APInt a(width, zeroExtended(in[0][n].i, width));
      llvm::APInt b(width, zeroExtended(in[1][n].i, width));
      out[n].i = arith::applyCmpPredicate(predicate, a, b) ? -1 : 0;
    }
  };
}

//===----------------------------------------------------------------------===//
// One operand
//===----------------------------------------------------------------------===//

static Kernel getAbsolute(math::AbsIOp op) {
  unsigned width = widthOf(op.getType());
  return [width](ArrayRef<const Cell *> in, Cell *out, unsigned count,
                 bool &) {
    for (unsigned n = 0; n < count; ++n) {
      int64_t a = in[0][n].i;
      // Unsigned: the least number has no opposite.
      uint64_t opposite = 0 - static_cast<uint64_t>(a);
      out[n].i = wrap(a < 0 ? static_cast<int64_t>(opposite) : a, width);
    }
  };
}

/// Counts of bits.
static Kernel getCountKernel(Operation *op) {
  if (!isa<math::CountLeadingZerosOp, math::CountTrailingZerosOp,
           math::CtPopOp>(op))
    return nullptr;
  unsigned width = widthOf(op->getResult(0).getType());
  int what = isa<math::CountLeadingZerosOp>(op)    ? 0
             : isa<math::CountTrailingZerosOp>(op) ? 1
                                                   : 2;
  return [width, what](ArrayRef<const Cell *> in, Cell *out, unsigned count,
                       bool &) {
    for (unsigned n = 0; n < count; ++n) {
      llvm::APInt a(width, zeroExtended(in[0][n].i, width));
      out[n].i = what == 0   ? a.countl_zero()
                 : what == 1 ? a.countr_zero()
                             : a.popcount();
    }
  };
}

Kernel evaluate::getIntegerKernel(Operation *op) {
  if (auto cmp = dyn_cast<arith::CmpIOp>(op))
    return getComparison(cmp);
  if (auto abs = dyn_cast<math::AbsIOp>(op))
    return getAbsolute(abs);
  if (Kernel kernel = getTotalKernel(op))
    return kernel;
  if (Kernel kernel = getDivisionKernel(op))
    return kernel;
  if (Kernel kernel = getShiftKernel(op))
    return kernel;
  return getCountKernel(op);
}
