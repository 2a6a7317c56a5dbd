//===- KeptStates.cpp - States that an error gives back -------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KeptStates.h"
#include "Timeline.h"
#include "headrace/Target/StageABI.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace headrace;

/// Copying more than this would be felt. Counters, statistics and the states of
/// recurrent layers are smaller; caches are larger, and mostly written at
/// positions that the call checks before it runs.
static constexpr int64_t mostBytes = 256 << 10;

/// Whether the stage reports errors that the call has not looked for before.
static bool reportsLate(func::FuncOp stage, const ImageEntry &entry,
                        const Image &image) {
  WalkResult walk = stage.walk([&](func::CallOp call) {
    if (call.getCallee() != stageErrorFunction)
      return WalkResult::advance();
    APInt number;
    if (!matchPattern(call.getOperand(1), m_ConstantInt(&number)) ||
        number.uge(image.sites.size()))
      return WalkResult::interrupt();
    const ImageSite &site = image.sites[number.getZExtValue()];
    for (const ImageCheck &check : entry.checks)
      if (llvm::is_contained(check.covers, site))
        return WalkResult::advance();
    return WalkResult::interrupt();
  });
  return walk.wasInterrupted();
}

SmallVector<ImageSpan> headrace::findKeptStates(ModuleOp module,
                                                sched::ProgramOp program,
                                                const ImageEntry &entry,
                                                const Image &image) {
  llvm::StringSet<> written;
  bool late = false;
  auto noteWrite = [&](sched::BufferOp buffer) {
    if (buffer.getKind() == hr::BufferKind::State)
      for (const std::string &name : getSlotNames(buffer))
        written.insert(name);
  };
  program.walk([&](sched::RunOp run) {
    sched::StageOp stage = run.getStageOp();
    for (auto [i, access] : llvm::enumerate(
             stage.getAccess().getAsRange<hr::AccessAttr>()))
      if (access.getValue() != hr::Access::Read)
        noteWrite(run.getBuffer(i));
    if (auto function = module.lookupSymbol<func::FuncOp>(stage.getFunction()))
      late |= reportsLate(function, entry, image);
  });
  program.walk([&](sched::CopyOp copy) {
    noteWrite(copy.getDest().getDefiningOp<sched::BufferOp>());
  });
  if (!late)
    return {};
  SmallVector<ImageSpan> spans;
  int64_t bytes = 0;
  for (const ImageState &state : image.states)
    if (written.contains(state.name)) {
      spans.push_back({state.offset, state.bytes});
      bytes += state.bytes;
    }
  if (bytes > mostBytes)
    return {};
  return spans;
}
