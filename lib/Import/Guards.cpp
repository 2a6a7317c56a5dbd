//===- Guards.cpp - Conditions that a program puts on its sizes -----------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Guards.h"
#include "headrace/Support/SizeCondition.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"
#include <map>
#include <numeric>
#include <set>

using namespace mlir;
using namespace headrace;
using llvm::createStringError;
using llvm::Error;
using llvm::Expected;
using llvm::formatv;

//===----------------------------------------------------------------------===//
// Python's expressions
//===----------------------------------------------------------------------===//

/// How deep a guard may nest; the parser recurses.
static constexpr unsigned kMaxDepth = 64;
/// How large its expressions may grow; products of sums multiply.
static constexpr size_t kMaxSize = 2048;
/// How large the denominators of its rational numbers may be.
static constexpr int64_t kMaxDenominator = 1 << 30;

namespace {
/// A rational number `numerator / denominator`, or a condition.
struct Value {
  bool isCondition = false;
  /// The condition, if this is one.
  SizeExpr numerator;
  int64_t denominator = 1; // positive
  /// A decimal fraction that has no short binary one: Python has a number beside
  /// it.
  bool isDecimal = false;
  /// Arithmetic with such a number, which may lie on either side of an integer.
  bool isRounded = false;
};

class Parser {
public:
  using Resolve =
      llvm::function_ref<Expected<GuardTerm>(const GuardSource &)>;
  Parser(StringRef text, Resolve resolve)
      : whole(text), text(text), resolve(resolve) {}

  Expected<Guard> run() {
    Expected<Value> value = parseOr(0);
    if (!value)
      return value.takeError();
    skip();
    if (!text.empty())
      return fail("'" + text.take_front(20) + "' is not understood");
    if (!value->isCondition)
      return fail("it is not a condition");
    named += whole.substr(copied).str();
    return Guard{value->numerator, named};
  }

private:
  Error fail(const llvm::Twine &what) {
    return createStringError(what.str());
  }

  //===-- Lexing ----------------------------------------------------------===//

  void skip() { text = text.ltrim(); }
  bool consume(StringRef token) {
    skip();
    return text.consume_front(token);
  }
  StringRef peekIdentifier() {
    skip();
    if (text.empty() || !(llvm::isAlpha(text[0]) || text[0] == '_'))
      return {};
    return text.take_while(
        [](char c) { return llvm::isAlnum(c) || c == '_' || c == '.'; });
  }
  bool consumeKeyword(StringRef keyword) {
    if (peekIdentifier() != keyword)
      return false;
    text = text.drop_front(keyword.size());
    return true;
  }

  //===-- Conditions ------------------------------------------------------===//

  static Value makeCondition(SizeExpr expr) {
    Value value;
    value.isCondition = true;
    value.numerator = std::move(expr);
    return value;
  }

  Expected<Value> parseOr(unsigned depth) {
    Expected<Value> lhs = parseAnd(depth);
    while (lhs && consumeKeyword("or")) {
      Expected<Value> rhs = parseAnd(depth);
      if (!rhs)
        return rhs;
      if (!lhs->isCondition || !rhs->isCondition)
        return fail("'or' of what is no condition");
      lhs->numerator = condition::either(lhs->numerator, rhs->numerator);
      if (lhs->numerator.size() > kMaxSize)
        return fail("it is too large");
    }
    return lhs;
  }

  Expected<Value> parseAnd(unsigned depth) {
    Expected<Value> lhs = parseNot(depth);
    while (lhs && consumeKeyword("and")) {
      Expected<Value> rhs = parseNot(depth);
      if (!rhs)
        return rhs;
      if (!lhs->isCondition || !rhs->isCondition)
        return fail("'and' of what is no condition");
      lhs->numerator = condition::both(lhs->numerator, rhs->numerator);
      if (lhs->numerator.size() > kMaxSize)
        return fail("it is too large");
    }
    return lhs;
  }

  Expected<Value> parseNot(unsigned depth) {
    if (depth > kMaxDepth)
      return fail("it nests too deeply");
    if (!consumeKeyword("not"))
      return parseComparison(depth);
    Expected<Value> operand = parseNot(depth + 1);
    if (!operand)
      return operand;
    if (!operand->isCondition)
      return fail("'not' of what is no condition");
    return makeCondition(condition::negation(operand->numerator));
  }

  StringRef consumeComparison() {
    for (StringRef op : {"==", "!=", "<=", ">=", "<", ">"})
      if (consume(op))
        return op;
    return {};
  }

  static SizeExpr compare(StringRef op, const Value &a, const Value &b) {
    SizeExpr x = a.numerator * SizeExpr(b.denominator);
    SizeExpr y = b.numerator * SizeExpr(a.denominator);
    if (op == "==")
      return condition::equal(x, y);
    if (op == "!=")
      return condition::unequal(x, y);
    if (op == "<=")
      return condition::atMost(x, y);
    if (op == ">=")
      return condition::atMost(y, x);
    return op == "<" ? condition::less(x, y) : condition::less(y, x);
  }

  Expected<Value> parseComparison(unsigned depth) {
    Expected<Value> lhs = parseSum(depth);
    if (!lhs)
      return lhs;
    std::optional<SizeExpr> all;
    while (true) {
      StringRef op = consumeComparison();
      if (op.empty())
        break;
      Expected<Value> rhs = parseSum(depth);
      if (!rhs)
        return rhs;
      if (lhs->isCondition || rhs->isCondition)
        return fail("it compares conditions");
      if (lhs->isRounded || rhs->isRounded)
        return failRounded();
      SizeExpr one = compare(op, *lhs, *rhs);
      all = all ? condition::both(*all, one) : one;
      if (all->size() > kMaxSize)
        return fail("it is too large");
      lhs = *rhs;
    }
    if (all)
      return makeCondition(*all);
    return lhs;
  }

  //===-- Numbers ---------------------------------------------------------===//

  /// A reduced fraction, or nothing if it is too large.
  Expected<Value> makeNumber(SizeExpr numerator, __int128 denominator) {
    if (denominator < 1 || denominator > kMaxDenominator ||
        numerator.size() > kMaxSize || numerator.depth() > kMaxDepth / 2)
      return fail("it is too large");
    Value value;
    value.denominator = static_cast<int64_t>(denominator);
    if (std::optional<SizeExpr> whole =
            numerator.exactDiv(SizeExpr(value.denominator))) {
      value.numerator = *whole;
      value.denominator = 1;
    } else {
      value.numerator = std::move(numerator);
    }
    return value;
  }

  /// The result of two numbers.
  Expected<Value> makeNumber(const Value &a, const Value &b,
                             SizeExpr numerator, __int128 denominator) {
    Expected<Value> value = makeNumber(std::move(numerator), denominator);
    if (value)
      value->isRounded =
          a.isRounded || b.isRounded || a.isDecimal || b.isDecimal;
    return value;
  }
  Error failRounded() {
    return fail("it depends on how fractions are rounded that are not short in "
                "binary (as 1.5 is, 1.1 is not)");
  }

  Expected<Value> add(const Value &a, const Value &b, int64_t sign) {
    return makeNumber(a, b,
                      a.numerator * SizeExpr(b.denominator) +
                          b.numerator * SizeExpr(a.denominator) *
                              SizeExpr(sign),
                      __int128(a.denominator) * b.denominator);
  }
  Expected<Value> multiply(const Value &a, const Value &b) {
    return makeNumber(a, b, a.numerator * b.numerator,
                      __int128(a.denominator) * b.denominator);
  }
  Expected<Value> divide(const Value &a, const Value &b) {
    std::optional<int64_t> divisor = b.numerator.getConstant();
    if (!divisor || *divisor == 0 ||
        *divisor == std::numeric_limits<int64_t>::min())
      return fail("'/' by what is not a constant");
    int64_t sign = *divisor < 0 ? -1 : 1;
    return makeNumber(a, b, a.numerator * SizeExpr(sign * b.denominator),
                      __int128(a.denominator) * (*divisor * sign));
  }
  Expected<Value> floorDivide(const Value &a, const Value &b) {
    if (b.numerator.getConstant() == 0)
      return fail("it divides by zero");
    if (a.isRounded || b.isRounded || a.isDecimal || b.isDecimal)
      return failRounded();
    return makeNumber((a.numerator * SizeExpr(b.denominator))
                          .floorDiv(b.numerator * SizeExpr(a.denominator)),
                      1);
  }
  Expected<Value> remainder(const Value &a, const Value &b) {
    if (a.isRounded || b.isRounded)
      return failRounded();
    if (a.denominator != 1 || b.denominator != 1)
      return fail("'%' of what is not an integer");
    if (b.numerator.getConstant() == 0)
      return fail("it divides by zero");
    return makeNumber(a.numerator.mod(b.numerator), 1);
  }

  Expected<Value> parseSum(unsigned depth) {
    Expected<Value> lhs = parseProduct(depth);
    while (lhs) {
      bool plus = consume("+");
      if (!plus && !consume("-"))
        break;
      Expected<Value> rhs = parseProduct(depth);
      if (!rhs)
        return rhs;
      if (lhs->isCondition || rhs->isCondition)
        return fail("arithmetic on a condition");
      lhs = add(*lhs, *rhs, plus ? 1 : -1);
    }
    return lhs;
  }

  Expected<Value> parseProduct(unsigned depth) {
    Expected<Value> lhs = parseUnary(depth);
    while (lhs) {
      StringRef op = consume("//")  ? "//"
                     : consume("/") ? "/"
                     : consume("%") ? "%"
                     : consume("*") ? "*"
                                    : "";
      if (op.empty())
        break;
      Expected<Value> rhs = parseUnary(depth);
      if (!rhs)
        return rhs;
      if (lhs->isCondition || rhs->isCondition)
        return fail("arithmetic on a condition");
      lhs = op == "*"    ? multiply(*lhs, *rhs)
            : op == "/"  ? divide(*lhs, *rhs)
            : op == "//" ? floorDivide(*lhs, *rhs)
                         : remainder(*lhs, *rhs);
    }
    return lhs;
  }

  Expected<Value> parseUnary(unsigned depth) {
    if (depth > kMaxDepth)
      return fail("it nests too deeply");
    if (consume("+"))
      return parseUnary(depth + 1);
    if (consume("-")) {
      Expected<Value> operand = parseUnary(depth + 1);
      if (!operand)
        return operand;
      if (operand->isCondition)
        return fail("arithmetic on a condition");
      operand->numerator = operand->numerator * SizeExpr(-1);
      return operand;
    }
    Expected<Value> base = parsePrimary(depth + 1);
    if (!base || !consume("**"))
      return base;
    Expected<Value> power = parseUnary(depth + 1);
    if (!power)
      return power;
    std::optional<int64_t> count = power->numerator.getConstant();
    if (base->isCondition || power->isCondition || !count || *count < 0 ||
        *count > 8 || power->denominator != 1)
      return fail("'**' with an exponent that is not one of 0 to 8");
    Expected<Value> result = makeNumber(SizeExpr(1), 1);
    for (int64_t i = 0; result && i < *count; ++i)
      result = multiply(*result, *base);
    return result;
  }

  Expected<Value> parsePrimary(unsigned depth) {
    skip();
    if (consume("(")) {
      Expected<Value> inner = parseOr(depth);
      if (inner && !consume(")"))
        return fail("a parenthesis is not closed");
      return inner;
    }
    if (!text.empty() && (llvm::isDigit(text[0]) || text[0] == '.'))
      return parseNumber();
    if (text.starts_with("L["))
      return parseSource();
    StringRef name = peekIdentifier();
    if (name.empty())
      return fail(text.empty() ? Twine("it ends early")
                               : "'" + text.take_front(20) +
                                     "' is not understood");
    text = text.drop_front(name.size());
    if (name == "True" || name == "False")
      return makeCondition(name == "True" ? condition::always()
                                          : condition::never());
    return parseCall(name, depth);
  }

  Expected<Value> parseNumber() {
    size_t length = 0, point = StringRef::npos;
    while (length < text.size() &&
           (llvm::isDigit(text[length]) ||
            (text[length] == '.' && point == StringRef::npos))) {
      if (text[length] == '.')
        point = length;
      ++length;
    }
    StringRef digits = text.take_front(length);
    text = text.drop_front(length);
    if (!text.empty() && (text[0] == 'e' || text[0] == 'E'))
      return fail("'" + digits + text.take_front(4) +
                  "' is a number with an exponent");
    std::string plain = digits.str();
    __int128 denominator = 1;
    if (point != StringRef::npos) {
      plain.erase(point, 1);
      for (size_t i = point + 1; i < length && denominator <= kMaxDenominator;
           ++i)
        denominator *= 10;
    }
    int64_t numerator;
    if (StringRef(plain).getAsInteger(10, numerator))
      return fail("'" + digits + "' is too large a number");
    if (denominator <= kMaxDenominator) {
      int64_t common = std::gcd(numerator, int64_t(denominator));
      numerator /= common;
      denominator /= common;
    }
    Expected<Value> value = makeNumber(SizeExpr(numerator), denominator);
    if (value)
      value->isDecimal = !llvm::isPowerOf2_64(value->denominator) &&
                         value->numerator.getConstant() != 0;
    return value;
  }

  Expected<Value> parseCall(StringRef name, unsigned depth) {
    if (!consume("("))
      return fail("'" + name + "' is not understood");
    SmallVector<Value> args;
    while (!consume(")")) {
      Expected<Value> arg = parseOr(depth);
      if (!arg)
        return arg;
      if (arg->isCondition)
        return fail("'" + name + "' of a condition");
      args.push_back(*arg);
      if (!consume(",") && !text.ltrim().starts_with(")"))
        return fail("the arguments of '" + name + "' are not understood");
    }
    StringRef function = name;
    function.consume_front("math.");
    if (args.size() == 1) {
      const SizeExpr &n = args[0].numerator;
      SizeExpr d(args[0].denominator);
      if (function == "float" || function == "torch.sym_float")
        return args[0];
      bool truncates =
          function == "trunc" || function == "int" || function == "torch.sym_int";
      if (truncates || function == "floor" || function == "ceil") {
        if (args[0].isRounded)
          return failRounded();
        return makeNumber(truncates             ? n.truncDiv(d)
                          : function == "floor" ? n.floorDiv(d)
                                                : n.ceilDiv(d),
                          1);
      }
      if (function == "abs") {
        Value result = args[0];
        result.numerator = SizeExpr::max(n, n * SizeExpr(-1));
        return result;
      }
    }
    if (args.size() == 2) {
      if (function == "FloorDiv" || function == "CleanDiv")
        return floorDivide(args[0], args[1]);
      if (function == "Mod" || function == "PythonMod")
        return remainder(args[0], args[1]);
    }
    bool isMax = function == "max" || function == "Max";
    if (args.empty() || !(isMax || function == "min" || function == "Min"))
      return fail("'" + name + "' is not understood");
    Value result = args.front();
    for (const Value &arg : llvm::drop_begin(args)) {
      SizeExpr x = result.numerator * SizeExpr(arg.denominator);
      SizeExpr y = arg.numerator * SizeExpr(result.denominator);
      Expected<Value> next =
          makeNumber(isMax ? SizeExpr::max(x, y) : SizeExpr::min(x, y),
                     __int128(result.denominator) * arg.denominator);
      if (!next)
        return next;
      next->isDecimal = result.isDecimal || arg.isDecimal;
      next->isRounded = result.isRounded || arg.isRounded;
      result = *next;
    }
    return result;
  }

  //===-- Sources ---------------------------------------------------------===//

  /// `L['x'][0].size()[1]`, and what else may be asked of an input.
  Expected<Value> parseSource() {
    StringRef start = text;
    text = text.drop_front(1);
    StringRef ends[] = {".size()[", ".shape[", ".stride()[",
                        ".storage_offset()"};
    GuardSource source;
    while (true) {
      if (text.consume_front("[")) {
        // A key may hold brackets inside its quotes.
        char quote = text.empty() ? 0 : text[0];
        size_t end = quote == '\'' || quote == '"'
                         ? text.find(std::string{quote, ']'}, 1)
                         : text.find(']');
        if (end == StringRef::npos)
          return fail("a bracket is not closed");
        text = text.drop_front(end + (quote == '\'' || quote == '"' ? 2 : 1));
        continue;
      }
      if (llvm::any_of(ends, [&](StringRef e) { return text.starts_with(e); }))
        break;
      StringRef field = text;
      if (!field.consume_front("."))
        return fail("'" + start.take_front(40) + "' is not understood");
      size_t length = field.take_while([](char c) {
                             return llvm::isAlnum(c) || c == '_';
                           }).size();
      if (length == 0)
        return fail("'" + start.take_front(40) + "' is not understood");
      text = field.drop_front(length);
    }
    source.path = start.drop_back(text.size());
    if (text.consume_front(".storage_offset()")) {
      source.kind = GuardSource::Kind::StorageOffset;
    } else {
      source.kind = text.starts_with(".stride") ? GuardSource::Kind::Stride
                                                : GuardSource::Kind::Size;
      text = text.drop_front(text.find('[') + 1);
      if (text.consumeInteger(10, source.dimension) ||
          !text.consume_front("]"))
        return fail("'" + start.take_front(40) + "' is not understood");
    }
    Expected<GuardTerm> term = resolve(source);
    if (!term)
      return term.takeError();
    // The text so far, with names in place of sources.
    size_t begin = start.data() - whole.data();
    named += whole.slice(copied, begin).str() + term->name;
    copied = text.data() - whole.data();
    return makeNumber(term->expr, 1);
  }

  StringRef whole, text;
  Resolve resolve;
  /// The text with names in place of sources, up to `copied`.
  std::string named;
  size_t copied = 0;
};
} // namespace

Expected<Guard> headrace::parseGuard(
    StringRef text,
    llvm::function_ref<Expected<GuardTerm>(const GuardSource &)> resolve) {
  return Parser(text, resolve).run();
}

//===----------------------------------------------------------------------===//
// Residues
//===----------------------------------------------------------------------===//

/// Residues are tried up to this modulus.
static constexpr int64_t kMaxModulus = 256;
/// Pairs of residues of two symbols that are tried.
static constexpr size_t kMaxPairs = 256;

namespace {
/// Collects the constants that symbols are divided by.
struct DivisorCollector : SizeExpr::Visitor {
  struct Operand {
    std::optional<int64_t> constant;
    std::set<std::string> symbols;
  };
  void constant(int64_t value) override { stack.push_back({value, {}}); }
  void symbol(StringRef name) override {
    stack.push_back({std::nullopt, {name.str()}});
  }
  void binary(StringRef op) override {
    Operand rhs = std::move(stack.back());
    stack.pop_back();
    Operand &lhs = stack.back();
    if ((op == "floordiv" || op == "mod") && rhs.constant.value_or(0) > 1)
      for (const std::string &name : lhs.symbols)
        divisors[name].insert(*rhs.constant);
    lhs.constant = std::nullopt;
    lhs.symbols.insert(rhs.symbols.begin(), rhs.symbols.end());
  }
  std::vector<Operand> stack;
  std::map<std::string, std::set<int64_t>> divisors;
};

/// The residues of one symbol that are not refuted yet.
struct Residues {
  int64_t modulus = 1;
  std::vector<int64_t> allowed;
};

class ResidueSearch {
public:
  ResidueSearch(ArrayRef<SizeExpr> conditions, const SymbolRanges &ranges)
      : conditions(conditions), ranges(ranges) {}

  std::vector<Congruence> run();

private:
  /// Whether some condition fails wherever the symbols have these residues.
  bool isRefuted(ArrayRef<std::pair<StringRef, int64_t>> residues);
  void tryPair(const std::string &a, const std::string &b);

  ArrayRef<SizeExpr> conditions;
  const SymbolRanges &ranges;
  std::map<std::string, Residues> found;
  /// Per condition: its symbols.
  std::vector<std::set<std::string>> symbolsOf;
};
} // namespace

bool ResidueSearch::isRefuted(
    ArrayRef<std::pair<StringRef, int64_t>> residues) {
  // s = modulus * part + residue; the part goes by the name of the symbol.
  SymbolRanges own = ranges;
  llvm::StringMap<SizeExpr> replacements;
  for (auto [name, residue] : residues) {
    int64_t modulus = found.at(name.str()).modulus;
    Interval range = ranges.lookup(name);
    int64_t unbounded = std::numeric_limits<int64_t>::max();
    Interval part{llvm::divideCeilSigned(range.min - residue, modulus),
                  range.max == unbounded
                      ? unbounded
                      : llvm::divideFloorSigned(range.max - residue, modulus)};
    if (part.min > part.max)
      return true;
    own[name] = part;
    replacements[name] =
        SizeExpr::symbol(name) * SizeExpr(modulus) + SizeExpr(residue);
  }
  for (auto [condition, symbols] : llvm::zip_equal(conditions, symbolsOf)) {
    if (!llvm::all_of(residues, [&](const auto &residue) {
          return symbols.count(residue.first.str());
        }))
      continue;
    SizeExpr placed = condition.substitute(
        [&](StringRef name) -> std::optional<SizeExpr> {
          auto it = replacements.find(name);
          return it == replacements.end() ? std::nullopt
                                          : std::optional(it->second);
        });
    if (condition::fails(placed, own))
      return true;
  }
  return false;
}

void ResidueSearch::tryPair(const std::string &a, const std::string &b) {
  Residues &first = found.at(a), &second = found.at(b);
  if (first.allowed.size() * second.allowed.size() > kMaxPairs)
    return;
  std::set<int64_t> keptFirst, keptSecond;
  for (int64_t x : first.allowed)
    for (int64_t y : second.allowed)
      if (!isRefuted({{a, x}, {b, y}})) {
        keptFirst.insert(x);
        keptSecond.insert(y);
      }
  first.allowed.assign(keptFirst.begin(), keptFirst.end());
  second.allowed.assign(keptSecond.begin(), keptSecond.end());
}

std::vector<Congruence> ResidueSearch::run() {
  // 1. Moduli: the least common multiple of the divisors, as far as it is
  // small.
  DivisorCollector collector;
  for (const SizeExpr &condition : conditions) {
    collector.stack.clear();
    condition.visit(collector);
    std::set<std::string> &symbols = symbolsOf.emplace_back();
    condition.walkSymbols([&](StringRef name) { symbols.insert(name.str()); });
  }
  for (const auto &[name, divisors] : collector.divisors) {
    auto range = ranges.find(name);
    if (range == ranges.end() || range->second.min < 0)
      continue;
    int64_t modulus = 1;
    for (int64_t divisor : divisors)
      if (divisor <= kMaxModulus &&
          std::lcm(modulus, divisor) <= kMaxModulus)
        modulus = std::lcm(modulus, divisor);
    if (modulus == 1)
      continue;
    Residues &residues = found[name];
    residues.modulus = modulus;
    for (int64_t residue = 0; residue < modulus; ++residue)
      residues.allowed.push_back(residue);
  }

  // 2. Each symbol by itself, then pairs that share a condition.
  for (auto &[name, residues] : found)
    llvm::erase_if(residues.allowed, [&](int64_t residue) {
      return isRefuted({{name, residue}});
    });
  for (auto a = found.begin(); a != found.end(); ++a)
    for (auto b = std::next(a); b != found.end(); ++b)
      if (llvm::any_of(symbolsOf, [&](const std::set<std::string> &symbols) {
            return symbols.count(a->first) && symbols.count(b->first);
          }))
        tryPair(a->first, b->first);

  // 3. The largest factor modulo which all that is left is equal.
  std::vector<Congruence> result;
  for (const auto &[name, residues] : found) {
    if (residues.allowed.empty())
      continue; // no size at all: said where conditions are checked
    int64_t factor = residues.modulus;
    for (int64_t residue : residues.allowed)
      factor = std::gcd(factor, residue - residues.allowed.front());
    if (factor > 1)
      result.push_back({name, factor, residues.allowed.front() % factor});
  }
  return result;
}

std::vector<Congruence>
headrace::findCongruences(ArrayRef<SizeExpr> conditions,
                          const SymbolRanges &ranges) {
  return ResidueSearch(conditions, ranges).run();
}
