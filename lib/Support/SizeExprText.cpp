//===- SizeExprText.cpp - Sizes as text, and as visitors see them ---------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Visiting in the order of a stack machine, printing, and the parser of what is
// printed.
//
//===----------------------------------------------------------------------===//
#include "SizeExprImpl.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::sizes;

/// How deep a text may nest.
static constexpr unsigned kMaxParseDepth = 128;

//===----------------------------------------------------------------------===//
// Visiting and printing
//===----------------------------------------------------------------------===//

static StringRef spelling(AtomKind kind) {
  switch (kind) {
  case AtomKind::FloorDiv:
    return "floordiv";
  case AtomKind::Mod:
    return "mod";
  case AtomKind::Min:
    return "min";
  case AtomKind::Max:
    return "max";
  case AtomKind::Symbol:
  case AtomKind::Unknown:
  case AtomKind::Product:
    break;
  }
  return "*";
}

void SizeExpr::visit(Visitor &visitor) const {
  if (!node)
    return visitor.constant(0);
  // Larger than what any size is compared with: a call that asks fails.
  if (isUnknown(*this))
    return visitor.constant(kMax);
  bool firstTerm = true;
  for (const Term &term : node->terms) {
    bool firstFactor = true;
    for (const AtomRef &atom : term.factors) {
      if (atom->kind == AtomKind::Symbol) {
        visitor.symbol(atom->name);
      } else {
        atom->lhs.visit(visitor);
        atom->rhs.visit(visitor);
        visitor.binary(spelling(atom->kind));
      }
      if (!firstFactor)
        visitor.binary("*");
      firstFactor = false;
    }
    if (firstFactor || term.coefficient != 1) {
      visitor.constant(term.coefficient);
      if (!firstFactor)
        visitor.binary("*");
    }
    if (!firstTerm)
      visitor.binary("+");
    firstTerm = false;
  }
}

static void print(const SizeExpr &expr, std::string &out);

/// Prints an operand of floordiv, mod or an unexpanded product.
static void printOperand(const SizeExpr &expr, std::string &out) {
  std::optional<int64_t> constant = expr.getConstant();
  const Atom *atom = getSingleAtom(expr);
  bool isSimple = (constant && *constant >= 0) ||
                  (atom && (atom->kind == AtomKind::Symbol ||
                            atom->kind == AtomKind::Min ||
                            atom->kind == AtomKind::Max));
  if (!isSimple)
    out += '(';
  print(expr, out);
  if (!isSimple)
    out += ')';
}

static void print(const Atom &atom, bool isAlone, std::string &out) {
  switch (atom.kind) {
  case AtomKind::Symbol:
    out += atom.name;
    return;
  case AtomKind::Unknown:
    out += '?';
    return;
  case AtomKind::Min:
  case AtomKind::Max:
    out += spelling(atom.kind);
    out += '(';
    print(atom.lhs, out);
    out += ", ";
    print(atom.rhs, out);
    out += ')';
    return;
  case AtomKind::FloorDiv:
  case AtomKind::Mod:
  case AtomKind::Product:
    if (!isAlone)
      out += '(';
    printOperand(atom.lhs, out);
    out += ' ';
    out += spelling(atom.kind);
    out += ' ';
    printOperand(atom.rhs, out);
    if (!isAlone)
      out += ')';
    return;
  }
}

static void print(const SizeExpr &expr, std::string &out) {
  const Terms &terms = termsOf(expr);
  if (terms.empty()) {
    out += '0';
    return;
  }
  bool isFirst = true;
  for (const Term &term : terms) {
    // The least int64_t has no positive counterpart: print it as it is.
    bool negative = term.coefficient < 0 && term.coefficient != kMin;
    if (isFirst)
      out += negative ? "-" : "";
    else
      out += negative ? " - " : " + ";
    isFirst = false;
    int64_t magnitude = negative ? -term.coefficient : term.coefficient;
    bool hasCoefficient = magnitude != 1 || term.factors.empty();
    if (hasCoefficient)
      out += llvm::itostr(magnitude);
    bool isAlone = terms.size() == 1 && !negative && !hasCoefficient &&
                   term.factors.size() == 1;
    bool needsTimes = hasCoefficient;
    for (const AtomRef &atom : term.factors) {
      if (needsTimes)
        out += " * ";
      needsTimes = true;
      print(*atom, isAlone, out);
    }
  }
}

std::string SizeExpr::str() const {
  std::string out;
  print(*this, out);
  return out;
}

//===----------------------------------------------------------------------===//
// Parsing
//===----------------------------------------------------------------------===//

namespace {
/// A recursive-descent parser over the grammar of the header; the depth of the
/// recursion is bounded.
class Parser {
public:
  Parser(StringRef text, std::string *error) : text(text), error(error) {}

  FailureOr<SizeExpr> run() {
    FailureOr<SizeExpr> result = parseSum();
    if (failed(result))
      return failure();
    skipSpace();
    if (position != text.size())
      return fail("expected an operator or the end");
    return result;
  }

private:
  FailureOr<SizeExpr> parseSum() {
    FailureOr<SizeExpr> lhs = parseProduct();
    while (succeeded(lhs)) {
      bool plus = consume('+');
      if (!plus && !consume('-'))
        break;
      FailureOr<SizeExpr> rhs = parseProduct();
      if (failed(rhs))
        return failure();
      lhs = plus ? *lhs + *rhs : *lhs - *rhs;
    }
    return lhs;
  }

  FailureOr<SizeExpr> parseProduct() {
    FailureOr<SizeExpr> lhs = parseUnary();
    while (succeeded(lhs)) {
      size_t start = position;
      StringRef op = consume('*') ? "*" : parseIdentifier();
      if (op != "*" && op != "floordiv" && op != "ceildiv" && op != "mod") {
        position = start;
        break;
      }
      FailureOr<SizeExpr> rhs = parseUnary();
      if (failed(rhs))
        return failure();
      if (op == "*") {
        lhs = *lhs * *rhs;
        continue;
      }
      if (rhs->getConstant() == 0) {
        position = start;
        return fail("division by zero");
      }
      lhs = op == "floordiv"  ? lhs->floorDiv(*rhs)
            : op == "ceildiv" ? lhs->ceilDiv(*rhs)
                              : lhs->mod(*rhs);
      // `a mod b floordiv c mod ...` nests without a parenthesis.
      if (lhs->depth() > kMaxParseDepth)
        return fail("nested too deeply");
    }
    return lhs;
  }

  FailureOr<SizeExpr> parseUnary() {
    bool negate = false;
    while (consume('-')) {
      // A literal takes its sign with it, or the least int64_t would not parse.
      if (position < text.size() && llvm::isDigit(text[position]))
        if (!negate)
          return parseNumber(/*isNegative=*/true);
      negate = !negate;
    }
    FailureOr<SizeExpr> operand = parsePrimary();
    if (failed(operand) || !negate)
      return operand;
    return *operand * SizeExpr(-1);
  }

  FailureOr<SizeExpr> parseNumber(bool isNegative) {
    size_t start = position;
    while (position < text.size() && llvm::isDigit(text[position]))
      ++position;
    int64_t value;
    std::string digits =
        (isNegative ? "-" : "") + text.slice(start, position).str();
    if (StringRef(digits).getAsInteger(10, value)) {
      position = start;
      return fail("expected an integer of 64 bits");
    }
    return SizeExpr(value);
  }

  FailureOr<SizeExpr> parsePrimary() {
    skipSpace();
    if (position < text.size() && llvm::isDigit(text[position]))
      return parseNumber(/*isNegative=*/false);
    if (consume('?'))
      return unknown();
    size_t start = position;
    StringRef name = parseIdentifier();
    bool isExtremum = name == "min" || name == "max";
    if (!name.empty() && !isExtremum) {
      if (name == "floordiv" || name == "ceildiv" || name == "mod") {
        position = start;
        return fail("expected an operand");
      }
      return SizeExpr::symbol(name);
    }
    if (!consume('('))
      return fail(isExtremum ? "expected '('" : "expected an operand");
    if (++depth > kMaxParseDepth)
      return fail("nested too deeply");
    FailureOr<SizeExpr> result = parseSum();
    if (failed(result))
      return failure();
    if (isExtremum) {
      if (!consume(','))
        return fail("expected ','");
      FailureOr<SizeExpr> rhs = parseSum();
      if (failed(rhs))
        return failure();
      result = name == "min" ? SizeExpr::min(*result, *rhs)
                             : SizeExpr::max(*result, *rhs);
    }
    if (!consume(')'))
      return fail("expected ')'");
    --depth;
    return result;
  }

  StringRef parseIdentifier() {
    skipSpace();
    size_t start = position;
    auto isStart = [](char c) { return llvm::isAlpha(c) || c == '_'; };
    if (position >= text.size() || !isStart(text[position]))
      return {};
    while (position < text.size() &&
           (isStart(text[position]) || llvm::isDigit(text[position]) ||
            text[position] == '.'))
      ++position;
    return text.slice(start, position);
  }

  bool consume(char c) {
    skipSpace();
    if (position >= text.size() || text[position] != c)
      return false;
    ++position;
    return true;
  }

  void skipSpace() {
    while (position < text.size() && text[position] == ' ')
      ++position;
  }

  FailureOr<SizeExpr> fail(StringRef what) {
    if (error)
      *error = (what + " at column " + llvm::Twine(position + 1)).str();
    return failure();
  }

  StringRef text;
  std::string *error;
  size_t position = 0;
  unsigned depth = 0;
};
} // namespace

FailureOr<SizeExpr> SizeExpr::parse(StringRef text, std::string *error) {
  return Parser(text, error).run();
}
