//===- HardwareTest.cpp - Tests of hw::System -----------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "headrace/Hardware/Probe.h"
#include "headrace/Hardware/System.h"

#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

#include "headrace/Runtime/ControlGroup.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include "gtest/gtest.h"
#include <atomic>
#include <cstdlib>
#include <sched.h>
#include <thread>

using namespace headrace::hw;
using mlir::failed;
using mlir::succeeded;

static System parse(llvm::StringRef text) {
  std::string error;
  mlir::FailureOr<System> system = System::parse(text, "test.mlir", error);
  EXPECT_TRUE(succeeded(system)) << error;
  return succeeded(system) ? *system : System();
}

static System load(llvm::StringRef name) {
  std::string error;
  mlir::FailureOr<System> system = System::load(name, error);
  EXPECT_TRUE(succeeded(system)) << error;
  return succeeded(system) ? *system : System();
}

/// Two sockets of four complexes of eight cores, in a node with a memory
/// that all see.
static constexpr llvm::StringLiteral nested = R"(
hw.system @node (price = 1 USD/h documented) {
  hw.memory @far (kind = main, bytes = 1 TiB assumed, read = 100 GB/s assumed)
  hw.device @socket x 2 (codegen = x86_64, features = ["avx2", "fma"],
      price = 2 USD/h assumed, watts = 200 W documented) {
    hw.memory @dram (kind = main, bytes = 64 GiB documented,
        read = 300 GB/s measured, worker_read = 20 GB/s measured,
        write = 150 GB/s measured, nt_write = 250 GB/s measured)
    hw.device @ccx x 4 {
      hw.memory @l3 (bytes = 32 MiB documented, read = 400 GB/s assumed,
                     worker_read = 100 GB/s assumed)
      hw.worker @core x 8 (clock = 4 GHz measured, registers = 32 x 512 bit) {
        hw.memory @l2 (bytes = 1 MiB documented, read = 200 GB/s assumed)
        hw.memory @l1 (bytes = 32 KiB documented, read = 400 GB/s assumed)
        hw.atom @slow 1 x 16 x 2 bf16, bf16 -> f32 (instruction = "s",
            per_cycle = 1/2 measured)
        hw.atom @fast 16 x 16 x 32 bf16, bf16 -> f32 (instruction = "f",
            per_cycle = 1/16 measured)
        hw.atom @fma 1 x 16 x 1 f32, f32 -> f32 (instruction = "vector.fma",
            per_cycle = 2 measured, latency = 4 cycles measured)
      }
    }
    hw.sync (cost = 170 ns measured)
  }
  hw.link @upi (from = @socket::@dram, to = @socket::@dram,
                bandwidth = 60 GB/s documented)
}
)";

TEST(Hardware, FlattensNestedDevices) {
  System system = parse(nested);
  ASSERT_EQ(system.getDevices().size(), 1u);
  const Device &socket = system.getDevice();
  EXPECT_EQ(socket.count, 2);
  EXPECT_EQ(socket.getWorkerCount(), 32);
  EXPECT_EQ(socket.triple, "x86_64-unknown-linux-gnu");
  EXPECT_EQ(socket.getFeatureString(), "+avx2,+fma");
  EXPECT_DOUBLE_EQ(socket.sync.cost.value, 170e-9);

  const Worker &core = socket.getWorker();
  ASSERT_EQ(core.levels.size(), 5u);
  EXPECT_EQ(core.levels[0].name, "l1");
  EXPECT_EQ(core.levels[1].name, "l2");
  EXPECT_EQ(core.levels[2].name, "l3");
  EXPECT_EQ(core.levels[3].name, "dram");
  EXPECT_EQ(core.levels[4].name, "far");
  EXPECT_EQ(core.levels[0].sharers, 1);
  EXPECT_EQ(core.levels[0].instances, 32);
  EXPECT_EQ(core.levels[2].sharers, 8);
  EXPECT_EQ(core.levels[2].instances, 4);
  EXPECT_EQ(core.levels[3].sharers, 32);
  EXPECT_EQ(core.levels[3].instances, 1);
  EXPECT_EQ(core.levels[4].sharers, 64);
  EXPECT_EQ(core.getOutermostPrivate()->name, "l2");
  EXPECT_EQ(core.getMainMemory()->name, "dram");
}

TEST(Hardware, SharesBandwidth) {
  System system = parse(nested);
  const Worker &core = system.getDevice().getWorker();
  const Memory &dram = *core.getLevel("dram");
  EXPECT_DOUBLE_EQ(dram.readPerWorker(1), 20e9);
  EXPECT_DOUBLE_EQ(dram.readTotal(2), 40e9);
  EXPECT_DOUBLE_EQ(dram.readTotal(32), 300e9);
  EXPECT_DOUBLE_EQ(dram.writeTotal(32), 150e9);
  EXPECT_DOUBLE_EQ(dram.writeTotal(32, /*nonTemporal=*/true), 250e9);
  const Memory &l3 = *core.getLevel("l3");
  // Four instances: eight workers are two on each.
  EXPECT_DOUBLE_EQ(l3.readPerWorker(8), 100e9);
  EXPECT_DOUBLE_EQ(l3.readPerWorker(32), 50e9);
  // An absent write bandwidth is the read bandwidth.
  EXPECT_DOUBLE_EQ(l3.write.value, 400e9);
}

TEST(Hardware, SortsAtomsByThroughput) {
  System system = parse(nested);
  const Worker &core = system.getDevice().getWorker();
  EXPECT_EQ(core.getAtoms("bf16", "bf16", "f32").size(), 2u);
  EXPECT_EQ(core.getAtom("bf16", "bf16", "f32")->name, "fast");
  EXPECT_DOUBLE_EQ(core.f32FlopsPerSecond(), 2.0 * 16 * 2 * 4e9);
  EXPECT_EQ(core.getAtom("f64", "f64", "f64"), nullptr);
  EXPECT_EQ(core.flopsPerSecond("f64", "f64", "f64"), 0);
  EXPECT_EQ(core.vectorLanes(32), 16);
}

TEST(Hardware, SumsPriceAndPower) {
  System system = parse(nested);
  EXPECT_DOUBLE_EQ(system.getPricePerHour().value, 5);
  // A sum is as sure as its least sure part.
  EXPECT_EQ(system.getPricePerHour().provenance, Provenance::Assumed);
  EXPECT_DOUBLE_EQ(system.getWatts().value, 400);
}

TEST(Hardware, KeepsLinks) {
  System system = parse(nested);
  ASSERT_EQ(system.getLinks().size(), 1u);
  EXPECT_EQ(system.getLinks()[0].from, "socket.dram");
  EXPECT_TRUE(system.getLinks()[0].duplex);
}

TEST(Hardware, WithFewerWorkers) {
  System two = parse(nested).withWorkers(2);
  const Worker &core = two.getDevice().getWorker();
  EXPECT_EQ(core.count, 2);
  EXPECT_EQ(core.getLevel("l3")->sharers, 2);
  EXPECT_EQ(core.getLevel("l3")->instances, 1);
  EXPECT_EQ(core.getLevel("l1")->sharers, 1);
  EXPECT_EQ(core.getLevel("l1")->instances, 2);
  EXPECT_DOUBLE_EQ(core.getLevel("dram")->readTotal(2), 40e9);
}

TEST(Hardware, ShippedDescriptionsAnswerThePlanner) {
  std::vector<std::string> names = System::getShippedNames();
  EXPECT_GE(names.size(), 10u);
  for (const std::string &name : names) {
    SCOPED_TRACE(name);
    System system = load(name);
    ASSERT_FALSE(system.getDevices().empty());
    EXPECT_FALSE(system.getSummary().empty());
    const Device &device = system.getDevice();
    const Worker &worker = device.getWorker();
    EXPECT_GT(worker.f32FlopsPerSecond(), 0);
    EXPECT_GT(worker.registers, 0);
    EXPECT_GT(worker.registerBits, 0);
    EXPECT_GT(device.sync.cost.value, 0);
    ASSERT_FALSE(worker.levels.empty());
    EXPECT_GT(worker.getMainMemory()->readTotal(device.getWorkerCount()), 0);
    // A figure too wrong to be a figure is a wrong unit.
    EXPECT_LT(worker.f32FlopsPerSecond(), 1e13);
    EXPECT_GT(worker.f32FlopsPerSecond(), 1e9);
    for (const Memory &level : worker.levels) {
      SCOPED_TRACE(level.name);
      EXPECT_GT(level.readPerWorker(1), 1e9);
      EXPECT_LT(level.readPerWorker(1), 1e14);
      EXPECT_GT(level.bytes.value, 1024);
      EXPECT_GT(level.joulesPerByte.value, 1e-14);
      EXPECT_LT(level.joulesPerByte.value, 1e-9);
      EXPECT_LT(level.latency.value, 1e-5);
    }
  }
}

TEST(Hardware, MatchesByFeatures) {
  auto features = [](llvm::StringRef name) {
    return load(name).getDevice().features;
  };
  for (llvm::StringRef name :
       {"generic-x86-64-v3", "generic-x86-64-v4", "intel-cascade-lake",
        "intel-sapphire-rapids", "amd-zen3", "amd-zen4", "amd-zen5"})
    EXPECT_EQ(System::matchShipped("x86_64", features(name)), name);
  // A Zen 3 as the host reports it, and the machine before it, which lacks two
  // of the features.
  std::vector<std::string> zen3 = features("generic-x86-64-v3"), zen2;
  for (const char *more :
       {"adx", "aes", "clzero", "fsgsbase", "invpcid", "pclmul", "pku", "rdpid",
        "rdseed", "sha", "sse4a", "vaes", "vpclmulqdq", "wbnoinvd"})
    zen3.push_back(more);
  EXPECT_EQ(System::matchShipped("x86_64", zen3), "amd-zen3");
  for (const std::string &feature : zen3)
    if (!llvm::StringRef(feature).starts_with("v"))
      zen2.push_back(feature);
  EXPECT_EQ(System::matchShipped("x86_64", zen2), "generic-x86-64-v3");
  // Without its tiles the Xeon is the next lesser machine.
  std::vector<std::string> noTiles;
  for (const std::string &feature : features("intel-sapphire-rapids"))
    if (!llvm::StringRef(feature).starts_with("amx"))
      noTiles.push_back(feature);
  EXPECT_EQ(System::matchShipped("x86_64", noTiles), "intel-cascade-lake");
  EXPECT_EQ(System::matchShipped("x86_64", {"sse2"}), "");
}

TEST(Hardware, ErrorsSayWhereAndWhat) {
  std::string error;
  EXPECT_TRUE(failed(System::parse("hw.system @x", "x.mlir", error)));
  EXPECT_EQ(error, "x.mlir:1:1: 'hw.system' op expected a device with "
                   "'codegen' that has a worker");
  EXPECT_TRUE(failed(System::parse("", "empty.mlir", error)));
  EXPECT_EQ(error, "empty.mlir: expected an 'hw.system' but found none");
  EXPECT_TRUE(failed(System::load("zen42", error)));
  EXPECT_NE(error.find("unknown target 'zen42'"), std::string::npos);
  EXPECT_NE(error.find("amd-zen5"), std::string::npos);
  EXPECT_TRUE(failed(System::load("./no-such.mlir", error)));
  EXPECT_NE(error.find("./no-such.mlir"), std::string::npos);
}

TEST(Hardware, UserFolderComesFirst) {
  llvm::SmallString<128> dir;
  ASSERT_FALSE(llvm::sys::fs::createUniqueDirectory("headrace", dir));
  setenv("HEADRACE_TARGET_DIR", dir.c_str(), 1);
  EXPECT_EQ(System::getProbedPath(), (dir + "/native.mlir").str());
  std::string text =
      System::getShippedText("generic-aarch64-neon")->str();
  std::error_code ec;
  {
    llvm::raw_fd_ostream os((dir + "/mine.mlir").str(), ec);
    os << text;
    // A probed file of another machine must not be taken for this one.
    llvm::raw_fd_ostream probed(System::getProbedPath(), ec);
    probed << (System::getHostCodegen() == "aarch64"
                   ? System::getShippedText("generic-x86-64-v3")->str()
                   : text);
  }
  EXPECT_EQ(System::getUserNames(),
            (std::vector<std::string>{"mine", "native"}));
  EXPECT_EQ(load("mine").getName(), "generic_aarch64_neon");
  if (!System::matchShipped(System::getHostCodegen(),
                            System::getHostFeatures())
           .empty()) {
    System native = load("native");
    EXPECT_EQ(native.getDevice().codegen, System::getHostCodegen());
    EXPECT_EQ(native.getDevice().getWorkerCount(),
              System::getHostWorkerCount());
  }
  unsetenv("HEADRACE_TARGET_DIR");
  llvm::sys::fs::remove_directories(dir);
}

TEST(Hardware, ABusyMachineIsNotProbed) {
  if (System::matchShipped(System::getHostCodegen(), System::getHostFeatures())
          .empty())
    GTEST_SKIP() << "this CPU cannot be probed";
  // One thread on each of the CPUs that would be measured.
  std::atomic<bool> done = false;
  std::vector<std::thread> threads;
  cpu_set_t allowed;
  ASSERT_EQ(sched_getaffinity(0, sizeof allowed, &allowed), 0);
  int64_t wanted = System::getHostWorkerCount();
  for (int cpu = 0; cpu < CPU_SETSIZE && int64_t(threads.size()) < wanted;
       ++cpu)
    if (CPU_ISSET(cpu, &allowed))
      threads.emplace_back([&done, cpu] {
        cpu_set_t own;
        CPU_ZERO(&own);
        CPU_SET(cpu, &own);
        sched_setaffinity(0, sizeof own, &own);
        while (!done)
          ;
      });
  ProbeOptions options;
  options.slice = 0.004;
  options.patience = 0.5;
  std::vector<std::string> notes;
  options.note = [&](llvm::StringRef text) { notes.push_back(text.str()); };
  std::string error;
  mlir::FailureOr<std::string> text = probe(options, error);
  done = true;
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_TRUE(failed(text));
  EXPECT_NE(error.find("cannot probe: other programs take"), std::string::npos)
      << error;
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_NE(notes.front().find("waiting"), std::string::npos);
}

TEST(Hardware, ProbeWritesWhatParses) {
  if (System::matchShipped(System::getHostCodegen(), System::getHostFeatures())
          .empty())
    GTEST_SKIP() << "this CPU cannot be probed";
  ProbeOptions options;
  options.name = "probed";
  options.slice = 0.004;
  options.mostTaken = 1; // tests run beside each other
  std::string error;
  mlir::FailureOr<std::string> text = probe(options, error);
  ASSERT_TRUE(succeeded(text)) << error;
  System system = parse(*text);
  const Worker &worker = system.getDevice().getWorker();
  EXPECT_EQ(worker.clock.provenance, Provenance::Measured);
  EXPECT_GE(system.getDevice().getWorkerCount(), 1);
  EXPECT_GT(worker.f32FlopsPerSecond(), 1e9);
  EXPECT_GT(worker.getMainMemory()->read.value, 1e8);
}

//===----------------------------------------------------------------------===//
// Control groups
//===----------------------------------------------------------------------===//

namespace {
/// Files of /proc and of control groups below a folder.
class ControlGroups : public testing::Test {
protected:
  void SetUp() override {
    ASSERT_FALSE(llvm::sys::fs::createUniqueDirectory("headrace-test", root));
  }
  void TearDown() override { llvm::sys::fs::remove_directories(root); }
  void write(llvm::StringRef path, llvm::StringRef text) {
    llvm::SmallString<128> full(root);
    full += path;
    ASSERT_FALSE(llvm::sys::fs::create_directories(
        llvm::sys::path::parent_path(full)));
    std::error_code ec;
    llvm::raw_fd_ostream(full, ec) << text;
    ASSERT_FALSE(ec);
  }
  uint32_t count() { return hr_control_group_cpus(root.c_str()); }

  llvm::SmallString<128> root;
};
} // namespace

TEST_F(ControlGroups, NoneLimitNothing) { EXPECT_EQ(count(), 0u); }

TEST_F(ControlGroups, Version2CountsTheTightest) {
  write("/proc/self/cgroup", "0::/a/b\n");
  write("/proc/self/mountinfo",
        "22 1 0:20 / /proc rw - proc proc rw\n"
        "30 1 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw\n");
  write("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
  EXPECT_EQ(count(), 0u);
  write("/sys/fs/cgroup/a/cpu.max", "250000 100000\n");
  EXPECT_EQ(count(), 3u);
  write("/sys/fs/cgroup/a/b/cpu.max", "50000 100000\n");
  EXPECT_EQ(count(), 1u);
}

TEST_F(ControlGroups, Version1IsSeenAsVersion2Is) {
  write("/proc/self/cgroup", "5:cpuset:/\n4:cpu,cpuacct:/user/x\n1:name=s:/\n");
  write("/proc/self/mountinfo",
        "31 1 0:27 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
        "32 1 0:28 / /sys/fs/cgroup/cpuacct,cpu rw shared:9 master:1 - cgroup "
        "cgroup rw,cpu,cpuacct\n");
  std::string group = "/sys/fs/cgroup/cpuacct,cpu/user";
  write(group + "/x/cpu.cfs_period_us", "100000\n");
  write(group + "/x/cpu.cfs_quota_us", "-1\n");
  EXPECT_EQ(count(), 0u);
  write(group + "/cpu.cfs_period_us", "50000\n");
  write(group + "/cpu.cfs_quota_us", "100000\n");
  EXPECT_EQ(count(), 2u);
  write(group + "/x/cpu.cfs_quota_us", "100000\n");
  EXPECT_EQ(count(), 1u);
}

TEST_F(ControlGroups, InAContainerTheMountIsItsOwn) {
  // The mount's root is our group, under its name outside.
  write("/proc/self/cgroup", "4:cpu:/docker/1234\n");
  write("/proc/self/mountinfo",
        "32 1 0:28 /docker/1234 /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n");
  write("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  write("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "400000\n");
  EXPECT_EQ(count(), 4u);
  // A group that is not below it: what is seen is still a limit.
  write("/proc/self/cgroup", "4:cpu:/docker/12345\n");
  EXPECT_EQ(count(), 4u);
  // Both versions at once.
  write("/proc/self/cgroup", "4:cpu:/docker/1234\n0::/\n");
  write("/proc/self/mountinfo",
        "32 1 0:28 /docker/1234 /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n"
        "33 1 0:29 / /sys/fs/cgroup/unified ro - cgroup2 cgroup2 rw\n");
  write("/sys/fs/cgroup/unified/cpu.max", "200000 100000\n");
  EXPECT_EQ(count(), 2u);
}

TEST_F(ControlGroups, Memory) {
  auto bytes = [&] { return hr_control_group_memory(root.c_str()); };
  write("/proc/self/cgroup", "0::/a/b\n");
  write("/proc/self/mountinfo",
        "30 1 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw\n");
  EXPECT_EQ(bytes(), 0u);
  write("/sys/fs/cgroup/a/b/memory.max", "max\n");
  EXPECT_EQ(bytes(), 0u);
  write("/sys/fs/cgroup/a/memory.max", "1073741824\n");
  EXPECT_EQ(bytes(), 1073741824u);
  write("/proc/self/cgroup", "3:memory:/x\n");
  write("/proc/self/mountinfo",
        "31 1 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
  write("/sys/fs/cgroup/memory/x/memory.limit_in_bytes",
        "9223372036854771712\n");
  EXPECT_EQ(bytes(), 0u);
  write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "4096\n");
  EXPECT_EQ(bytes(), 4096u);
}
