//===- SymPy.cpp - Symbolic expressions as sympy writes them --------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "SymPy.h"
#include "headrace/Support/SizeCondition.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>
#include <numeric>
#include <vector>

using namespace mlir;
using namespace headrace;
using llvm::createStringError;
using llvm::Error;
using llvm::Expected;
using llvm::formatv;

/// How deep calls may nest; the parser recurses.
static constexpr unsigned kMaxDepth = 64;
/// How large an expression may grow; products of sums multiply.
static constexpr size_t kMaxSize = 2048;
/// Floats that are quotients of integers: with so many binary places, and at most
/// so large, their products with sizes below 2^30 are exact.
static constexpr int kFractionBits = 10;
static constexpr double kMostFactor = 1 << 12;

namespace {
class Parser {
public:
  explicit Parser(StringRef text) : text(text) {}

  Expected<SymbolicValue> run() {
    Expected<SymbolicValue> result = parseExpr(0);
    if (!result)
      return result;
    skip();
    if (!text.empty())
      return fail("unexpected text after the end");
    return result;
  }

private:
  using Value = SymbolicValue;
  using Kind = SymbolicValue::Kind;

  Error fail(const llvm::Twine &what) {
    return createStringError(formatv("symbolic size: {0}", what).str());
  }

  static Value makeInteger(SizeExpr expr) {
    Value value;
    value.integer = std::move(expr);
    return value;
  }
  static Value makeCondition(std::optional<SizeExpr> condition,
                             std::string text) {
    Value value;
    value.kind = Kind::Condition;
    value.condition = std::move(condition);
    value.text = std::move(text);
    return value;
  }

  void skip() { text = text.ltrim(); }

  Expected<Value> parseExpr(unsigned depth) {
    if (depth > kMaxDepth)
      return fail("nested too deeply");
    skip();
    if (!text.empty() && (llvm::isDigit(text[0]) || text[0] == '-')) {
      StringRef digits =
          text.take_front(1 + text.drop_front()
                                  .take_while(llvm::isDigit)
                                  .size());
      text = text.drop_front(digits.size());
      int64_t number;
      if (digits.getAsInteger(10, number))
        return fail("expected an integer of 64 bits");
      return makeInteger(SizeExpr(number));
    }
    StringRef name = text.take_while(
        [](char c) { return llvm::isAlnum(c) || c == '_' || c == '.'; });
    text = text.drop_front(name.size());
    if (name.empty())
      return fail("expected an expression");
    // `true` is how sympy's booleans print.
    if (name == "True" || name == "true")
      return makeCondition(condition::always(), "True");
    if (name == "False" || name == "false")
      return makeCondition(condition::never(), "False");
    if (!text.consume_front("("))
      return fail("expected '('");

    std::vector<Value> args;
    StringRef literal;
    while (true) {
      skip();
      if (text.consume_front(")"))
        break;
      if (text.consume_front("'")) {
        size_t end = text.find('\'');
        if (end == StringRef::npos)
          return fail("expected a closing quote");
        literal = text.take_front(end);
        text = text.drop_front(end + 1);
      } else if (!skipKeyword()) {
        Expected<Value> arg = parseExpr(depth + 1);
        if (!arg)
          return arg;
        args.push_back(std::move(*arg));
      }
      skip();
      if (text.starts_with(")"))
        continue;
      if (!text.consume_front(","))
        return fail("expected ',' or ')'");
    }
    Expected<Value> result = apply(name, literal, args);
    if (result && (result->integer.depth() > kMaxDepth / 2 ||
                   result->integer.size() > kMaxSize))
      return fail("the expression is too large");
    return result;
  }

  /// Skips `positive=True`.
  bool skipKeyword() {
    size_t length =
        text.take_while([](char c) { return llvm::isAlnum(c) || c == '_'; })
            .size();
    if (length == 0 || !text.drop_front(length).starts_with("="))
      return false;
    text = text.drop_front(length + 1);
    text = text.drop_while(
        [](char c) { return llvm::isAlnum(c) || c == '_' || c == '-'; });
    return true;
  }

  Expected<Value> apply(StringRef name, StringRef literal,
                        std::vector<Value> &args) {
    if (name == "Symbol") {
      if (literal.empty() || !(llvm::isAlpha(literal[0]) || literal[0] == '_') ||
          !llvm::all_of(literal, [](char c) {
            return llvm::isAlnum(c) || c == '_' || c == '.';
          }))
        return fail("a symbol's name is not an identifier");
      if (literal == "min" || literal == "max" || literal == "mod" ||
          literal == "floordiv" || literal == "ceildiv")
        return fail("a symbol may not be named '" + literal + "'");
      return makeInteger(SizeExpr::symbol(literal));
    }
    if (name == "Float") {
      double number;
      if (literal.getAsDouble(number))
        return fail("expected a number");
      return makeFloat(number);
    }
    if (name == "And" || name == "Or" || name == "Not")
      return applyLogic(name, args);

    bool isInteger = llvm::all_of(
        args, [](const Value &arg) { return arg.kind == Kind::Integer; });
    if (!isInteger || args.empty()) {
      if (isComparison(name))
        return makeCondition(std::nullopt, "");
      return applyToFloats(name, args);
    }
    if (name == "Integer" && args.size() == 1)
      return args.front();
    if (name == "ToFloat" && args.size() == 1) {
      Value value = args.front();
      value.kind = Kind::Float;
      return value;
    }
    if (name == "Add" || name == "Mul" || name == "Min" || name == "Max") {
      SizeExpr result = args.front().integer;
      for (Value &arg : llvm::drop_begin(args)) {
        result = name == "Add"   ? result + arg.integer
                 : name == "Mul" ? result * arg.integer
                 : name == "Min" ? SizeExpr::min(result, arg.integer)
                                 : SizeExpr::max(result, arg.integer);
        if (result.size() > kMaxSize)
          return fail("the expression is too large");
      }
      return makeInteger(result);
    }
    if (args.size() == 2) {
      const SizeExpr &a = args[0].integer, &b = args[1].integer;
      if (name == "IntTrueDiv")
        return applyToFloats(name, args);
      if (name == "FloorDiv" || name == "CleanDiv" || name == "CeilDiv" ||
          name == "Mod" || name == "PythonMod") {
        if (b.getConstant() == 0)
          return fail("division by zero");
        return makeInteger(name.ends_with("Mod") ? a.mod(b)
                           : name == "CeilDiv"   ? a.ceilDiv(b)
                                                 : a.floorDiv(b));
      }
      if (name == "Pow" || name == "PowByNatural") {
        std::optional<int64_t> power = b.getConstant();
        if (!power || *power < 0 || *power > 8)
          return fail("expected an exponent from 0 to 8");
        SizeExpr result(1);
        for (int64_t i = 0; i < *power; ++i) {
          result = result * a;
          if (result.size() > kMaxSize)
            return fail("the expression is too large");
        }
        return makeInteger(result);
      }
      if (isComparison(name))
        return compare(name, a, b);
    }
    return fail("'" + name + "' is not supported");
  }

  static Value makeFloat(double number) {
    Value value;
    value.kind = Kind::Float;
    // A short binary fraction is a quotient of integers.
    double scaled = std::ldexp(number, kFractionBits);
    if (scaled == std::trunc(scaled) && std::abs(number) <= kMostFactor) {
      int64_t integer = int64_t(scaled), divisor = int64_t(1) << kFractionBits;
      int64_t common = std::gcd(integer, divisor);
      value.integer = SizeExpr(integer / common);
      value.divisor = SizeExpr(divisor / common);
      return value;
    }
    value.real = number;
    return value;
  }

  /// Arithmetic of floats, where it rounds as the quotient of integers does: sums
  /// and products of binary fractions are exact, and a quotient of integers below
  /// 2^53 is rounded to an integer only if it is one.
  Expected<Value> applyToFloats(StringRef name, ArrayRef<Value> args) {
    auto unsupported = [&](StringRef why) {
      return fail("'" + name + "' of " + why + " is not supported");
    };
    for (const Value &arg : args) {
      if (arg.kind == Kind::Condition)
        return unsupported("a condition");
      if (arg.real)
        return unsupported(
            "a fraction that is not short in binary (as 1.5 is, 1.1 is not)");
    }
    auto isExact = [](const Value &arg) {
      std::optional<int64_t> divisor = arg.divisor.getConstant();
      return divisor && llvm::isPowerOf2_64(*divisor);
    };
    Value result;
    result.kind = Kind::Float;
    if ((name == "TruncToInt" || name == "FloorToInt" || name == "CeilToInt") &&
        args.size() == 1) {
      const SizeExpr &n = args.front().integer, &d = args.front().divisor;
      return makeInteger(name == "CeilToInt"    ? n.ceilDiv(d)
                         : name == "FloorToInt" ? n.floorDiv(d)
                                                : n.truncDiv(d));
    }
    if (name == "ToFloat" && args.size() == 1)
      return args.front();
    if ((name == "Add" || name == "Mul") && llvm::all_of(args, isExact)) {
      result.integer = args.front().integer;
      result.divisor = args.front().divisor;
      for (const Value &arg : args.drop_front()) {
        result.integer = name == "Mul" ? result.integer * arg.integer
                                       : result.integer * arg.divisor +
                                             arg.integer * result.divisor;
        result.divisor = result.divisor * arg.divisor;
        if (result.integer.size() > kMaxSize ||
            !llvm::isPowerOf2_64(result.divisor.getConstant().value_or(0)))
          return fail("the expression is too large");
      }
      return result;
    }
    if ((name == "IntTrueDiv" || name == "FloatTrueDiv") && args.size() == 2 &&
        llvm::all_of(args, [](const Value &arg) {
          return arg.divisor.getConstant() == 1;
        })) {
      if (args[1].integer.getConstant() == 0)
        return fail("division by zero");
      result.integer = args[0].integer;
      result.divisor = args[1].integer;
      return result;
    }
    return unsupported("what is not an integer");
  }

  Expected<Value> applyLogic(StringRef name, ArrayRef<Value> args) {
    if (args.empty() || (name == "Not" && args.size() != 1))
      return fail("'" + name + "' of " + llvm::Twine(args.size()) +
                  " conditions");
    std::optional<SizeExpr> result;
    std::string text;
    for (const Value &arg : args) {
      if (arg.kind != Kind::Condition)
        return fail("'" + name + "' of what is not a condition");
      if (!arg.condition)
        return makeCondition(std::nullopt, "");
      if (name == "Not")
        return makeCondition(condition::negation(*arg.condition),
                             "not (" + arg.text + ")");
      result = !result         ? *arg.condition
               : name == "And" ? condition::both(*result, *arg.condition)
                               : condition::either(*result, *arg.condition);
      if (result->size() > kMaxSize)
        return fail("the expression is too large");
      if (!text.empty())
        text += name == "And" ? " and " : " or ";
      text += "(" + arg.text + ")";
    }
    return makeCondition(*result, text);
  }

  static Value compare(StringRef name, const SizeExpr &a, const SizeExpr &b) {
    auto make = [&](const SizeExpr &condition, StringRef op) {
      return makeCondition(condition,
                           a.str() + " " + op.str() + " " + b.str());
    };
    if (name == "GreaterThan")
      return make(condition::atMost(b, a), ">=");
    if (name == "LessThan")
      return make(condition::atMost(a, b), "<=");
    if (name == "StrictGreaterThan")
      return make(condition::less(b, a), ">");
    if (name == "StrictLessThan")
      return make(condition::less(a, b), "<");
    return name == "Equality" ? make(condition::equal(a, b), "==")
                              : make(condition::unequal(a, b), "!=");
  }

  static bool isComparison(StringRef name) {
    return name.ends_with("Than") || name == "Equality" ||
           name == "Unequality";
  }

  StringRef text;
};
} // namespace

Expected<SymbolicValue> headrace::parseSymPy(StringRef text) {
  return Parser(text).run();
}

Expected<SizeExpr> headrace::parseSymPyInteger(StringRef text) {
  Expected<SymbolicValue> value = parseSymPy(text);
  if (!value)
    return value.takeError();
  if (value->kind != SymbolicValue::Kind::Integer)
    return createStringError("symbolic size: expected an integer");
  return value->integer;
}
