// RUN: headrace-opt %s --allow-unregistered-dialect --verify-roundtrip | FileCheck %s

// A figure prints in the unit that reads shortest, and exactly.

"test.figures"() {
  // CHECK: a00 = #hw.figure<1.5 TB/s measured>
  a00 = #hw.figure<1500 GB/s measured>,
  // CHECK-SAME: a01 = #hw.figure<100 GB/s assumed>
  a01 = #hw.figure<0.1 TB/s assumed>,
  // CHECK-SAME: a02 = #hw.figure<48 KiB documented>
  a02 = #hw.figure<49152 B documented>,
  // CHECK-SAME: a03 = #hw.figure<80 GB documented>
  a03 = #hw.figure<80 GB documented>,
  // CHECK-SAME: a04 = #hw.figure<170 ns measured>
  a04 = #hw.figure<0.17 us measured>,
  // CHECK-SAME: a05 = #hw.figure<1/16 documented>
  a05 = #hw.figure<0.0625 documented>,
  // CHECK-SAME: a06 = #hw.figure<0.0594 measured>
  a06 = #hw.figure<0.0594 measured>,
  // CHECK-SAME: a07 = #hw.figure<1/3 assumed>
  a07 = #hw.figure<1/3 assumed>,
  // CHECK-SAME: a08 = #hw.figure<2 assumed>
  a08 = #hw.figure<2 assumed>,
  // CHECK-SAME: a09 = #hw.figure<3.25 GHz measured>
  a09 = #hw.figure<3250 MHz measured>,
  // CHECK-SAME: a10 = #hw.figure<120 pJ/B assumed>
  a10 = #hw.figure<0.12 nJ/B assumed>,
  // CHECK-SAME: a11 = #hw.figure<0 cycles documented>
  a11 = #hw.figure<0 cycles documented>,
  // CHECK-SAME: a12 = #hw.figure<2.5 USD/h assumed>
  a12 = #hw.figure<2.5 USD/h assumed>,
  // CHECK-SAME: a13 = #hw.figure<700 W documented>
  a13 = #hw.figure<0.7 kW documented>
} : () -> ()
