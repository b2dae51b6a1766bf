#include "lib/seccomp/bpf_evaluator.h"

#include <string.h>

#include <array>

namespace bulwark::seccomp {

using base::Code;
using base::Error;
using base::Result;

namespace {

struct Machine {
  uint32_t a = 0;
  uint32_t x = 0;
  std::array<uint32_t, BPF_MEMWORDS> memory = {};
};

Error BadInstruction(size_t pc, const sock_filter& instruction) {
  return Error::Make(Code::kInvalidArgument, "filter instruction {}: code {:#x} k {:#x}", pc,
                     instruction.code, instruction.k);
}

// False for an operation that the kernel refuses or that would divide by zero.
bool Arithmetic(Machine& machine, const sock_filter& instruction) {
  const uint32_t operand = BPF_SRC(instruction.code) == BPF_X ? machine.x : instruction.k;
  uint32_t& a = machine.a;
  switch (BPF_OP(instruction.code)) {
    case BPF_ADD: a += operand; return true;
    case BPF_SUB: a -= operand; return true;
    case BPF_MUL: a *= operand; return true;
    case BPF_DIV:
      if (operand == 0) return false;
      a /= operand;
      return true;
    case BPF_OR: a |= operand; return true;
    case BPF_AND: a &= operand; return true;
    case BPF_XOR: a ^= operand; return true;
    case BPF_LSH:
      if (operand > 31) return false;
      a <<= operand;
      return true;
    case BPF_RSH:
      if (operand > 31) return false;
      a >>= operand;
      return true;
    case BPF_NEG: a = 0u - a; return true;
    default: return false;
  }
}

bool Load(Machine& machine, const sock_filter& instruction, const seccomp_data& data) {
  switch (instruction.code) {
    case BPF_LD | BPF_W | BPF_ABS:
      if (instruction.k % 4 != 0 || instruction.k > sizeof(data) - 4) return false;
      memcpy(&machine.a, reinterpret_cast<const char*>(&data) + instruction.k, 4);
      return true;
    case BPF_LD | BPF_W | BPF_LEN: machine.a = sizeof(data); return true;
    case BPF_LDX | BPF_W | BPF_LEN: machine.x = sizeof(data); return true;
    case BPF_LD | BPF_IMM: machine.a = instruction.k; return true;
    case BPF_LDX | BPF_IMM: machine.x = instruction.k; return true;
    case BPF_LD | BPF_MEM:
    case BPF_LDX | BPF_MEM:
      if (instruction.k >= BPF_MEMWORDS) return false;
      (BPF_CLASS(instruction.code) == BPF_LD ? machine.a : machine.x) =
          machine.memory[instruction.k];
      return true;
    default: return false;
  }
}

bool Store(Machine& machine, const sock_filter& instruction) {
  if (instruction.k >= BPF_MEMWORDS) return false;
  machine.memory[instruction.k] =
      BPF_CLASS(instruction.code) == BPF_ST ? machine.a : machine.x;
  return true;
}

// How far to jump beyond the next instruction, or -1 for an operation that the kernel refuses.
int64_t Jump(const Machine& machine, const sock_filter& instruction) {
  const uint32_t operand = BPF_SRC(instruction.code) == BPF_X ? machine.x : instruction.k;
  bool is_true = false;
  switch (BPF_OP(instruction.code)) {
    case BPF_JA: return instruction.k;
    case BPF_JEQ: is_true = machine.a == operand; break;
    case BPF_JGT: is_true = machine.a > operand; break;
    case BPF_JGE: is_true = machine.a >= operand; break;
    case BPF_JSET: is_true = (machine.a & operand) != 0; break;
    default: return -1;
  }
  return is_true ? instruction.jt : instruction.jf;
}

bool Transfer(Machine& machine, const sock_filter& instruction) {
  if (instruction.code == (BPF_MISC | BPF_TAX)) {
    machine.x = machine.a;
  } else if (instruction.code == (BPF_MISC | BPF_TXA)) {
    machine.a = machine.x;
  } else {
    return false;
  }
  return true;
}

}  // namespace

Result<uint32_t> EvaluateRaw(const std::vector<sock_filter>& program, const seccomp_data& data) {
  Machine machine;
  for (size_t pc = 0; pc < program.size(); ++pc) {
    const sock_filter& instruction = program[pc];
    bool is_valid = true;
    switch (BPF_CLASS(instruction.code)) {
      case BPF_RET:
        if (instruction.code == (BPF_RET | BPF_K)) return instruction.k;
        if (instruction.code == (BPF_RET | BPF_A)) return machine.a;
        is_valid = false;
        break;
      case BPF_LD:
      case BPF_LDX: is_valid = Load(machine, instruction, data); break;
      case BPF_ST:
      case BPF_STX: is_valid = Store(machine, instruction); break;
      case BPF_ALU: is_valid = Arithmetic(machine, instruction); break;
      case BPF_MISC: is_valid = Transfer(machine, instruction); break;
      default: {
        const int64_t distance = Jump(machine, instruction);
        is_valid = distance >= 0;
        if (is_valid) pc += static_cast<size_t>(distance);
      }
    }
    if (!is_valid) return BadInstruction(pc, instruction);
  }
  return Error(Code::kInvalidArgument, "filter runs past its end");
}

Result<Outcome> Evaluate(const std::vector<sock_filter>& program, const seccomp_data& data) {
  ASSIGN_OR_RETURN(const uint32_t raw, EvaluateRaw(program, data));
  const uint32_t value = raw & SECCOMP_RET_DATA;
  switch (raw & SECCOMP_RET_ACTION_FULL) {
    case SECCOMP_RET_ALLOW: return Outcome{Action::kAllow, 0};
    case SECCOMP_RET_LOG: return Outcome{Action::kLog, 0};
    case SECCOMP_RET_TRACE: return Outcome{Action::kTrace, value};
    case SECCOMP_RET_USER_NOTIF: return Outcome{Action::kNotify, 0};
    case SECCOMP_RET_ERRNO: return Outcome{Action::kErrno, value};
    case SECCOMP_RET_TRAP: return Outcome{Action::kTrap, 0};
    case SECCOMP_RET_KILL_THREAD: return Outcome{Action::kKillThread, 0};
    default: return Outcome{Action::kKillProcess, 0};  // what the kernel does with values it does not know
  }
}

}  // namespace bulwark::seccomp
