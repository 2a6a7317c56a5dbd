// RUN: headrace-opt %s --target-lower-atoms=features=+avx2,+avx512bf16 --split-input-file --verify-diagnostics | FileCheck %s

// CHECK-LABEL: func @dot
func.func @dot(%a: vector<32xbf16>, %b: vector<32xbf16>, %c: vector<16xf32>) -> vector<16xf32> {
  // CHECK: %[[R:.+]] = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%arg2, %arg0, %arg1)
  // CHECK: return %[[R]]
  %0 = hr.group_dot "x86.vdpbf16ps" %a, %b, %c : vector<32xbf16>, vector<16xf32>
  return %0 : vector<16xf32>
}

// -----

// CHECK-LABEL: func @round
func.func @round(%a: vector<16xf32>, %b: vector<16xf32>) -> vector<32xbf16> {
  // CHECK: %[[HALVES:.+]] = llvm.call_intrinsic "llvm.x86.avx512bf16.cvtne2ps2bf16.512"(%arg1, %arg0)
  // CHECK: vector.shuffle %[[HALVES]], %[[HALVES]] [0, 16, 1, 17,
  %0 = hr.group_round "x86.vdpbf16ps" %a, %b : vector<16xf32>, vector<16xf32> to vector<32xbf16>
  return %0 : vector<32xbf16>
}

// -----

// Widths that the instruction does not have.
// CHECK-LABEL: func @round_fewer
func.func @round_fewer(%a: vector<4xf32>, %b: vector<4xf32>) -> vector<8xbf16> {
  // CHECK: arith.truncf %arg0
  // CHECK: arith.truncf %arg1
  // CHECK: vector.shuffle {{.*}} [0, 4, 1, 5, 2, 6, 3, 7]
  %0 = hr.group_round "x86.vdpbf16ps" %a, %b : vector<4xf32>, vector<4xf32> to vector<8xbf16>
  return %0 : vector<8xbf16>
}

// -----

// Sums stay in tile registers from one iteration to the next.
// CHECK-LABEL: func @fragments
func.func @fragments(%x: memref<?xi16>, %y: memref<?xi16>, %z: memref<?xf32>, %n: index) {
  %c0 = arith.constant 0 : index
  %c16 = arith.constant 16 : index
  %c32 = arith.constant 32 : index
  // CHECK: %[[ZERO:.+]] = llvm.call_intrinsic "llvm.x86.tilezero.internal"({{.*}}) : (i16, i16) -> !llvm.x86_amx
  %zero = hr.fragment_zero : !hr.fragment<16x16xf32>
  // CHECK: %[[SUM:.+]] = scf.for {{.*}} iter_args(%[[ACC:.+]] = %[[ZERO]]) -> (!llvm.x86_amx)
  %sum = scf.for %k = %c0 to %n step %c32 iter_args(%acc = %zero) -> (!hr.fragment<16x16xf32>) {
    // CHECK: llvm.call_intrinsic "llvm.x86.tileloadd64.internal"({{.*}}) : (i16, i16, !llvm.ptr, i64) -> !llvm.x86_amx
    %a = hr.fragment_load %x[%k], %c32 : memref<?xi16>, !hr.fragment<16x32xbf16>
    %b = hr.fragment_load %y[%k], %c32 : memref<?xi16>, !hr.fragment<16x32xbf16>
    // CHECK: %[[NEXT:.+]] = llvm.call_intrinsic "llvm.x86.tdpbf16ps.internal"({{.*}}, %[[ACC]], {{.*}}) : (i16, i16, i16, !llvm.x86_amx, !llvm.x86_amx, !llvm.x86_amx) -> !llvm.x86_amx
    // CHECK: scf.yield %[[NEXT]]
    %next = hr.fragment_multiply "x86.tdpbf16ps" %a, %b, %acc : !hr.fragment<16x32xbf16>, !hr.fragment<16x32xbf16>, !hr.fragment<16x16xf32>
    scf.yield %next : !hr.fragment<16x16xf32>
  }
  // CHECK: llvm.call_intrinsic "llvm.x86.tilestored64.internal"({{.*}}, %[[SUM]])
  hr.fragment_store %sum, %z[%c0], %c16 : !hr.fragment<16x16xf32>, memref<?xf32>
  return
}

// -----

func.func @unknown(%a: vector<32xbf16>, %b: vector<32xbf16>, %c: vector<16xf32>) -> vector<16xf32> {
  // expected-error @+1 {{has the unknown instruction 'x86.nothing'}}
  %0 = hr.group_dot "x86.nothing" %a, %b, %c : vector<32xbf16>, vector<16xf32>
  return %0 : vector<16xf32>
}
